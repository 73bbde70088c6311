"""What this process wrote and its cache does not show yet: own writes are read back at once (G36).

Acting on a state from before one's own last write repeats that write. Instead of waiting for the watch, the
answer of the write stands in for the cache until the cache has caught up.
"""

from __future__ import annotations

from typing import Generic, Protocol, TypeVar

from informers import Key, KubernetesObject, OwnWrites, key_of

T = TypeVar("T", bound=KubernetesObject)
T_co = TypeVar("T_co", bound=KubernetesObject, covariant=True)


class Lookup(Protocol[T_co]):
    """A cache that says how far it has come; an informer is one."""

    def get(self, namespace: str | None, name: str) -> T_co | None: ...
    def version_for(self, namespace: str | None) -> str: ...


class Recent(Generic[T]):
    """Reads a cache, with this process's own latest writes on top."""

    def __init__(self, cache: Lookup[T]) -> None:
        self._cache = cache
        self._own = OwnWrites(cache)
        self._written: dict[Key, T] = {}

    def get(self, key: Key) -> T | None:
        """The object as the cache has it, or as this process wrote it if that is newer."""
        written = self._written.get(key)
        if written is not None:
            if not self._own.fresh(key):
                return written
            del self._written[key]
        return self._cache.get(key.namespace, key.name)

    def wrote(self, obj: T) -> None:
        """A write was answered with this object."""
        key = key_of(obj)
        self._written[key] = obj
        self._own.wrote(key, obj.metadata.resource_version or "")

    def caught_up(self, obj: KubernetesObject) -> bool:
        """Whether the cache's newest version of an object is this process's own write, which then is done with.

        A watch that shows nothing but that tells nothing new.
        """
        key = key_of(obj)
        written = self._written.get(key)
        if written is None or written.metadata.resource_version != obj.metadata.resource_version:
            return False
        self.forget(key)
        return True

    def forget(self, key: Key) -> None:
        """The object is gone, or what is remembered of it has proved wrong."""
        self._written.pop(key, None)
        self._own.forget(key)
