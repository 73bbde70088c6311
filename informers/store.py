"""The cache's memory: objects by key, and multi-valued indexes that always agree with them (G7, G17)."""

from __future__ import annotations

import builtins
import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Generic, NamedTuple, TypeVar

from informers.key import Key
from informers.objects import KubernetesObject, key_of

T = TypeVar("T", bound=KubernetesObject)

Indexer = Callable[[T], Iterable[str]]
"""The values under which an object is found in one index: none, one or several."""

_log = logging.getLogger(__name__)


class Change(NamedTuple, Generic[T]):
    """One difference: added (no `old`), updated (both), or deleted (no `new`)."""

    key: Key
    old: T | None
    new: T | None


class Store(Generic[T]):
    """Objects and their indexes. Nothing here waits, so no reader ever sees half a change."""

    def __init__(self, indexers: Mapping[str, Indexer[T]] | None = None) -> None:
        self._objects: dict[Key, T] = {}
        self._namespaces: dict[str, dict[Key, T]] = {}
        self._indexers = dict(indexers or {})
        self._indexes: dict[str, dict[str, dict[Key, T]]] = {name: {} for name in self._indexers}
        self.resource_version = ""

    def get(self, key: Key) -> T | None:
        """The object, or None."""
        return self._objects.get(key)

    def list(self, namespace: str | None = None) -> builtins.list[T]:
        """The objects of one namespace, or all."""
        if namespace is None:
            return list(self._objects.values())
        return list(self._namespaces.get(namespace, {}).values())

    def by_index(self, index: str, value: str) -> builtins.list[T]:
        """The objects that the index files under this value. KeyError if there is no such index."""
        return list(self._indexes[index].get(value, {}).values())

    def index_values(self, index: str) -> builtins.list[str]:
        """The values in use in an index."""
        return list(self._indexes[index])

    def keys(self) -> builtins.list[Key]:
        """The keys of all objects."""
        return list(self._objects)

    def __len__(self) -> int:
        return len(self._objects)

    def put(self, obj: T) -> Change[T] | None:
        """Adds or updates one object; None if it is the one that is there already."""
        key = key_of(obj)
        old = self._objects.get(key)
        if old is not None and _same_version(old, obj):
            return None
        self._file(key, old, obj)
        return Change(key, old, obj)

    def delete(self, key: Key) -> Change[T] | None:
        """Removes one object; None if it is not there."""
        old = self._objects.get(key)
        if old is None:
            return None
        self._file(key, old, None)
        return Change(key, old, None)

    def replace(self, objects: Iterable[T], keep: Collection[Key] = ()) -> builtins.list[Change[T]]:
        """Makes the objects the whole content, and returns what differs; keys in `keep` are not deleted.

        Deletions come first, so that what a consumer counts never rises above the truth on the way.
        """
        listed = {key_of(obj): obj for obj in objects}
        gone = [key for key in self._objects if key not in listed and key not in keep]
        deleted = (self.delete(key) for key in gone)
        put = (self.put(obj) for obj in listed.values())
        return [change for changes in (deleted, put) for change in changes if change is not None]

    def _file(self, key: Key, old: T | None, new: T | None) -> None:
        """Moves one key to its new places; what can fail, the indexers, runs before anything is moved."""
        moves = [
            (index, self._values(name, old), self._values(name, new)) for name, index in self._indexes.items()
        ]
        here = (key.namespace,)
        moves.append((self._namespaces, here if old is not None else (), here if new is not None else ()))
        if new is None:
            del self._objects[key]
        else:
            self._objects[key] = new
        for index, before, after in moves:
            for value in before:
                if value not in after:
                    _leave(index, value, key)
            if new is not None:
                for value in after:
                    index.setdefault(value, {})[key] = new

    def _values(self, name: str, obj: T | None) -> Collection[str]:
        if obj is None:
            return ()
        try:
            return frozenset(self._indexers[name](obj))
        except Exception:  # noqa: BLE001 - an indexer that fails on one object must not blind the whole cache
            _log.exception("index %s failed for %s; the object is in no bucket of it", name, key_of(obj))
            return ()


def _leave(index: dict[str, dict[Key, T]], value: str, key: Key) -> None:
    """Takes the key out of a bucket, and an empty bucket out of the index."""
    bucket = index.get(value)
    if bucket is not None:
        bucket.pop(key, None)
        if not bucket:
            del index[value]


def _same_version(old: KubernetesObject, new: KubernetesObject) -> bool:
    was, now = old.metadata, new.metadata
    return bool(now.resource_version) and was.resource_version == now.resource_version and was.uid == now.uid
