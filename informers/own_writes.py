"""Whether the cache has caught up with this process's own writes (G36b).

A reconciler that acts on a state from before its own last write repeats itself. It notes the resource version
that each write returned, and waits with the key until the cache has reached it.
"""

from __future__ import annotations

from typing import Protocol

from informers.key import Key
from informers.objects import KubernetesObject
from informers.resource_version import has_reached, is_older
from informers.timing import Clock, loop_clock

EXPIRY = 300.0
"""Seconds after which a write is no longer waited for: after a restored etcd its version may never come.
Writes carry a resource version of their own, so a stale pass ends in a conflict at worst."""


class Versioned(Protocol):
    """A cache that knows how far it has come: an informer."""

    def get(self, namespace: str | None, name: str) -> KubernetesObject | None: ...
    def version_for(self, namespace: str | None) -> str: ...


class OwnWrites:
    """The versions of this process's latest writes to the objects of one cache."""

    def __init__(self, cache: Versioned, clock: Clock = loop_clock) -> None:
        self._cache = cache
        self._clock = clock
        self._written: dict[Key, tuple[str, float]] = {}

    def wrote(self, key: Key, resource_version: str) -> None:
        """A write to the object returned this version; of several the latest counts."""
        noted = self._written.get(key)
        if noted is None or not is_older(resource_version, noted[0]):
            self._written[key] = (resource_version, self._clock())

    def fresh(self, key: Key) -> bool:
        """Whether the cache shows the object as of the last own write to it, or later."""
        noted = self._written.get(key)
        if noted is None:
            return True
        version, since = noted
        obj = self._cache.get(key.namespace, key.name)
        if (
            has_reached(self._cache.version_for(key.namespace), version)
            or (obj is not None and has_reached(obj.metadata.resource_version or "", version))
            or self._clock() - since >= EXPIRY
        ):
            del self._written[key]
            return True
        return False

    def forget(self, key: Key) -> None:
        """The object is gone."""
        self._written.pop(key, None)

    def __len__(self) -> int:
        return len(self._written)
