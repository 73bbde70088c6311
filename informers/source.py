"""The collection as the reflector asks for it: selectors filled in, answers decoded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from typing import Generic, TypeVar

from informers.decode import Collection, Decoder
from informers.events import Event
from informers.listwatch import ListWatch
from informers.objects import KubernetesObject
from kube.resources import Resource

T = TypeVar("T", bound=KubernetesObject)


class CollectionSource(Generic[T]):
    """One resource, in one namespace or all, narrowed by selectors."""

    def __init__(
        self,
        client: ListWatch,
        resource: Resource,
        decoder: Decoder[T],
        *,
        namespace: str | None,
        label_selector: str | None,
        field_selector: str | None,
        metadata_only: bool,
    ) -> None:
        self._client = client
        self._resource = resource
        self._decoder = decoder
        self._namespace = namespace
        self._label_selector = label_selector
        self._field_selector = field_selector
        self._metadata_only = metadata_only
        self.decode: Callable[[bytes], Event] = decoder.line

    async def list(self, resource_version: str, limit: int | None, continue_: str | None) -> Collection[T]:
        body = await self._client.list(
            self._resource,
            self._namespace,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
            # A continue token carries its own version; the server refuses both together.
            resource_version=None if continue_ else resource_version,
            limit=limit,
            continue_=continue_,
            metadata_only=self._metadata_only,
        )
        return await self._decoder.collection(body)

    def watch(
        self, resource_version: str, timeout_seconds: int, initial: bool
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return self._client.watch(
            self._resource,
            self._namespace,
            label_selector=self._label_selector,
            field_selector=self._field_selector,
            resource_version=resource_version,
            timeout_seconds=timeout_seconds,
            allow_bookmarks=True,
            send_initial_events=initial,
            metadata_only=self._metadata_only,
        )
