"""Lists a whole collection, in pages where paging applies (G1)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from informers.decode import Collection
from informers.events import Fault, Listed
from informers.faults import fault_of_error
from informers.states import LATEST
from kube.errors import ApiError

PAGE_SIZE = 500
"""Objects a page. Only lists of the latest state are paged, which older servers read from etcd; all others
come from the watch cache, which knows no pages."""

ListPage = Callable[[str, int | None, str | None], Awaitable[Collection[Any]]]
"""Resource version, limit and continue token to one decoded page. Raises ApiError and NotACollection."""


async def list_all(list_page: ListPage, resource_version: str) -> Listed:
    """The collection as one snapshot; the version is the first page's, which all pages share.

    A continue token that expires on the way falls back to the full list in one answer.
    """
    limit = PAGE_SIZE if resource_version == LATEST else None
    page = await list_page(resource_version, limit, None)
    objects, unreadable, version = page.objects, page.unreadable, page.resource_version
    while page.continue_:
        try:
            page = await list_page(resource_version, limit, page.continue_)
        except ApiError as error:
            if fault_of_error(error) is not Fault.EXPIRED:
                raise
            page = await list_page(resource_version, None, None)
            return Listed(page.objects, page.resource_version, frozenset(page.unreadable))
        objects += page.objects
        unreadable += page.unreadable
    return Listed(objects, version, frozenset(unreadable))
