"""One informer for each of several namespaces, read as one cache (G21).

For an operator that may watch some namespaces and not the cluster: each namespace has its own watch and its
own resource version; the set is fixed at the start.
"""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from informers.handlers import Handler, Registration
from informers.informer import Informer
from informers.objects import KubernetesObject

T = TypeVar("T", bound=KubernetesObject)


class MultiNamespaceInformer(Generic[T]):
    """Reads like an `Informer`, over the given namespaces. `make` builds the informer of one namespace."""

    def __init__(self, namespaces: Iterable[str], make: Callable[[str], Informer[T]]) -> None:
        self._informers = {namespace: make(namespace) for namespace in sorted(set(namespaces))}
        if not self._informers:
            raise ValueError("no namespace to watch; an Informer without namespace watches all")

    def get(self, namespace: str | None, name: str) -> T | None:
        """The cached object; None also for a namespace that is not watched."""
        informer = self._informers.get(namespace or "")
        return informer.get(namespace, name) if informer is not None else None

    def list(self, namespace: str | None = None) -> builtins.list[T]:
        """The cached objects of a namespace, or of all that are watched."""
        if namespace is not None:
            informer = self._informers.get(namespace)
            return informer.list() if informer is not None else []
        return [obj for informer in self._informers.values() for obj in informer.list()]

    def by_index(self, index: str, value: str) -> builtins.list[T]:
        """The cached objects that the index files under the value, of all namespaces."""
        return [obj for informer in self._informers.values() for obj in informer.by_index(index, value)]

    def __len__(self) -> int:
        return sum(len(informer) for informer in self._informers.values())

    def add_handler(self, handler: Handler[T]) -> MultiRegistration[T]:
        """Registers the handler with every namespace."""
        return MultiRegistration([informer.add_handler(handler) for informer in self._informers.values()])

    async def run(self) -> None:
        """Follows all namespaces until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for informer in self._informers.values():
                tasks.create_task(informer.run(), name=f"informer of {informer.name}")

    async def wait_synced(self) -> None:
        """Waits until every namespace is synced."""
        for informer in self._informers.values():
            await informer.wait_synced()

    @property
    def synced(self) -> bool:
        """Whether every namespace is synced."""
        return all(informer.synced for informer in self._informers.values())

    def version_for(self, namespace: str | None) -> str:
        """The version that the cache of this namespace has reached; empty if it is not watched."""
        informer = self._informers.get(namespace or "")
        return informer.resource_version if informer is not None else ""

    @property
    def last_activity(self) -> float:
        """When the server was last heard of, in the namespace for which that is longest ago."""
        return min(informer.last_activity for informer in self._informers.values())

    @property
    def last_step(self) -> float:
        """When the loop last took a step, in the namespace for which that is longest ago."""
        return min(informer.last_step for informer in self._informers.values())

    async def resync(self) -> None:
        """Tells the handlers of every cached object once more."""
        for informer in self._informers.values():
            await informer.resync()

    @property
    def informers(self) -> builtins.list[Informer[T]]:
        """The informers of the single namespaces."""
        return list(self._informers.values())


class MultiRegistration(Generic[T]):
    """A handler's places in the informers of all namespaces."""

    def __init__(self, registrations: builtins.list[Registration[T]]) -> None:
        self._registrations = registrations

    @property
    def synced(self) -> bool:
        """Whether the initial collections of all namespaces have been told to the handler."""
        return all(registration.synced for registration in self._registrations)

    def remove(self) -> None:
        """Ends the notifications at once."""
        for registration in self._registrations:
            registration.remove()
