"""The two requests that an informer makes: what it needs of the Kubernetes client, and no more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from kube.resources import Resource


class ListWatch(Protocol):
    """Lists and watches; `kube.Client` is one. Both raise `kube.ApiError`."""

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
        resource_version: str | None = None,
        limit: int | None = None,
        continue_: str | None = None,
        metadata_only: bool = False,
    ) -> bytes:
        """The raw body of one page."""
        ...

    def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
        resource_version: str | None = None,
        timeout_seconds: int,
        allow_bookmarks: bool = True,
        send_initial_events: bool = False,
        metadata_only: bool = False,
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Complete raw lines until the server closes; a cut raises `kube.Unreachable`."""
        ...
