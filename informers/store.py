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
        self._filed: dict[Key, tuple[tuple[str, ...], ...]] = {}
        """Under which values of each index a key is filed: what was found once need not be found again."""
        self._nowhere: tuple[tuple[str, ...], ...] = ((),) * len(self._indexes)
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
        self._file(key, obj)
        return Change(key, old, obj)

    def delete(self, key: Key) -> Change[T] | None:
        """Removes one object; None if it is not there."""
        old = self._objects.get(key)
        if old is None:
            return None
        self._file(key, None)
        return Change(key, old, None)

    def replace(self, objects: Iterable[T], keep: Collection[Key] = ()) -> builtins.list[Change[T]]:
        """Makes the objects the whole content, and returns what differs; keys in `keep` are not deleted.

        Deletions come first, so that what a consumer counts never rises above the truth on the way.
        """
        listed = {key_of(obj): obj for obj in objects}
        gone = [key for key in self._objects if key not in listed and key not in keep]
        changes = [Change(key, self._objects[key], None) for key in gone]
        for key, obj in listed.items():
            old = self._objects.get(key)
            if old is None or not _same_version(old, obj):
                changes.append(Change(key, old, obj))
        for key, _, new in changes:
            self._file(key, new)
        return changes

    def _file(self, key: Key, new: T | None) -> None:
        """Moves one key to its new places; what can fail, the indexers, runs before anything is moved."""
        before = self._filed.get(key, self._nowhere)
        after = self._nowhere if new is None else self._values(new)
        for index, left, entered in zip(self._indexes.values(), before, after, strict=True):
            for value in left:
                if value not in entered:
                    _leave(index, value, key)
            if new is not None:
                for value in entered:
                    _enter(index, value, key, new)
        if new is not None:
            self._objects[key] = new
            self._filed[key] = after
            _enter(self._namespaces, key.namespace, key, new)
        else:
            del self._objects[key]
            del self._filed[key]
            _leave(self._namespaces, key.namespace, key)

    def _values(self, obj: T) -> tuple[tuple[str, ...], ...]:
        """The object's values in each index."""
        return tuple([_index_values(name, indexer, obj) for name, indexer in self._indexers.items()])


def _index_values(name: str, indexer: Indexer[T], obj: T) -> tuple[str, ...]:
    try:
        return tuple(indexer(obj))
    except Exception:  # noqa: BLE001 - an indexer that fails on one object must not blind the whole cache
        _log.exception("index %s failed for %s; the object is in no bucket of it", name, key_of(obj))
        return ()


def _enter(index: dict[str, dict[Key, T]], value: str, key: Key, obj: T) -> None:
    bucket = index.get(value)
    if bucket is None:
        index[value] = {key: obj}
    else:
        bucket[key] = obj


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
