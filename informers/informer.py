"""The shared informer: a cache of one collection that follows the API server (G14-G23).

API server ──lines──▶ Reflector ──▶ Store (objects, indexes) ──▶ handlers ──▶ work queues
                                       ▲ get, list, by_index: from memory, never waiting
"""

from __future__ import annotations

import asyncio
import builtins
import random
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from informers.backoff import Backoff
from informers.cache import Cache
from informers.decode import Decoder
from informers.handlers import Audience, Handler, Registration
from informers.key import Key
from informers.listwatch import ListWatch
from informers.metrics import InformerMetrics, NoInformerMetrics
from informers.objects import KubernetesObject
from informers.reflector import Reflector
from informers.source import CollectionSource
from informers.store import Indexer, Store
from informers.timing import Clock, Sleep, loop_clock, loop_sleep
from kube.resources import Resource

T = TypeVar("T", bound=KubernetesObject)

RESYNC_PERIOD = 36_000.0
"""Seconds between two replays of the cache to the handlers, a safety net for reconcilers (G22)."""

RESYNC_JITTER = 0.1
"""Share by which each period is shortened or stretched."""


class Informer(Generic[T]):
    """Caches the objects of one resource, in one namespace or all, that the selectors select.

    `type` is a lean struct with `.metadata`. `transform` drops what is not needed, once an object, before it
    is cached; it must keep name, namespace, UID and resource version. `indexers` name the indexes. A cache
    miss does not mean that an object does not exist: it may be a moment old, or not selected.
    """

    def __init__(
        self,
        client: ListWatch,
        resource: Resource,
        type: type[T],  # noqa: A002 - as msgspec and the client name it
        *,
        namespace: str | None = None,
        label_selector: str | None = None,
        field_selector: str | None = None,
        metadata_only: bool = False,
        transform: Callable[[T], T] | None = None,
        indexers: Mapping[str, Indexer[T]] | None = None,
        watch_list: bool = True,
        resync_period: float | None = RESYNC_PERIOD,
        backoff: Backoff | None = None,
        clock: Clock = loop_clock,
        sleep: Sleep = loop_sleep,
        rng: random.Random | None = None,
        metrics: InformerMetrics | None = None,
    ) -> None:
        self.resource = resource
        self.namespace = namespace
        self.name = f"{resource.plural}{f' in {namespace}' if namespace else ''}"
        self._sleep = sleep
        self._rng = rng if rng is not None else random.Random()  # noqa: S311 - jitter, not secrets
        self._resync_period = resync_period
        metrics = metrics or NoInformerMetrics()
        kind = "PartialObjectMetadata" if metadata_only else resource.kind
        source = CollectionSource(
            client,
            resource,
            Decoder(type, kind, transform),
            namespace=namespace,
            label_selector=label_selector,
            field_selector=field_selector,
            metadata_only=metadata_only,
        )
        self._cache = Cache(Store(indexers), Audience[T](self.name, metrics.problem))
        self._reflector = Reflector(
            self.name,
            source,
            self._cache,
            watch_list=watch_list,
            backoff=backoff or Backoff(clock, self._rng),
            clock=clock,
            sleep=sleep,
            rng=self._rng,
            metrics=metrics,
        )

    def get(self, namespace: str | None, name: str) -> T | None:
        """The cached object, or None; the namespace of cluster-scoped objects is None or empty."""
        return self._cache.store.get(Key(namespace or "", name))

    def list(self, namespace: str | None = None) -> builtins.list[T]:
        """The cached objects of a namespace, or all."""
        return self._cache.store.list(namespace)

    def by_index(self, index: str, value: str) -> builtins.list[T]:
        """The cached objects that the index files under the value. KeyError if there is no such index."""
        return self._cache.store.by_index(index, value)

    def __len__(self) -> int:
        return len(self._cache.store)

    def add_handler(self, handler: Handler[T]) -> Registration[T]:
        """Registers a handler; what is cached already is replayed to it at once, as initial."""
        return self._cache.admit(handler)

    async def run(self) -> None:
        """Follows the collection until cancelled; never ends otherwise (G23)."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._reflector.run(), name=f"reflector of {self.name}")
            if self._resync_period is not None:
                tasks.create_task(self._resync_loop(self._resync_period), name=f"resync of {self.name}")

    async def wait_synced(self) -> None:
        """Waits until the initial collection has been cached and told to the handlers (G15)."""
        await self._cache.synced.wait()

    @property
    def synced(self) -> bool:
        """Whether the initial collection has been cached and told to the handlers; stays true ever after."""
        return self._cache.synced.is_set()

    @property
    def resource_version(self) -> str:
        """The version that the cache has reached by events, bookmarks or lists; empty before the first."""
        return self._cache.store.resource_version

    def version_for(self, namespace: str | None) -> str:  # noqa: ARG002 - same interface as the multi-namespace one
        """The version that the cache of this namespace has reached."""
        return self.resource_version

    @property
    def state(self) -> str:
        """What the informer is doing: Connecting, Streaming, Listing, Watching or BackingOff."""
        return type(self._reflector.state).__name__

    @property
    def last_activity(self) -> float:
        """When the server was last heard of (clock seconds): its age tells how stale the cache may be."""
        return self._reflector.last_activity

    @property
    def last_step(self) -> float:
        """When the loop last took a step: older than STUCK_AFTER means that the task is dead or stuck."""
        return self._reflector.last_step

    async def resync(self) -> None:
        """Tells the handlers of every cached object once more; asks nothing of the server (G22)."""
        await self._cache.resync()

    async def _resync_loop(self, period: float) -> None:
        while True:
            await self._sleep(period * self._rng.uniform(1 - RESYNC_JITTER, 1 + RESYNC_JITTER))
            await self.resync()
