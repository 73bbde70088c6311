"""The store and the audience together: each change is first cached, then told (G7, G14, G15)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Generic, TypeVar

from informers.handlers import Audience, Handler, Registration
from informers.key import Key
from informers.objects import KubernetesObject, key_of
from informers.store import Change, Store
from informers.timing import let_others_run

RESYNC_SLICE = 256
"""Objects replayed between two turns of the event loop (H2)."""

T = TypeVar("T", bound=KubernetesObject)


class Cache(Generic[T]):
    """What the reflector fills; `synced` is set once the initial collection has been told."""

    def __init__(self, store: Store[T], audience: Audience[T]) -> None:
        self.store = store
        self.audience = audience
        self.synced = asyncio.Event()
        self._filled = False
        self._telling = asyncio.Lock()
        """Held while many are told at once: a replay between two changes of a relist would run ahead of it."""

    def admit(self, handler: Handler[T]) -> Registration[T]:
        return self.audience.admit(handler, self.store.list(), self._filled)

    async def replace(self, objects: Sequence[T], resource_version: str, keep: frozenset[Key]) -> None:
        async with self._telling:
            changes = self.store.replace(objects, keep)
            self.store.resource_version = resource_version
            initial = not self._filled
            self._filled = True
            await self.audience.tell_all(changes, initial)
        self.synced.set()

    def apply(self, type: str, obj: T, resource_version: str) -> None:  # noqa: A002 - Kubernetes' name
        deleted = type == "DELETED"
        change = self.store.delete(key_of(obj)) if deleted else self.store.put(obj)
        self.store.resource_version = resource_version
        if change is not None:
            self.audience.tell(change, obj if deleted else None)

    def advance(self, resource_version: str) -> None:
        self.store.resource_version = resource_version

    async def resync(self) -> None:
        """Tells the handlers of every cached object once more, as it is when its turn comes (G22)."""
        async with self._telling:
            for count, key in enumerate(self.store.keys()):
                if count % RESYNC_SLICE == RESYNC_SLICE - 1:
                    await let_others_run()
                obj = self.store.get(key)
                if obj is not None:
                    self.audience.tell(Change(key, obj, obj))
