"""Notices when somebody changes a cached object, which all readers share (G16)."""

from __future__ import annotations

from typing import Any

import msgspec

from informers import Informer


class MutationDetector:
    """A handler that remembers each object as it was when it was told of, and compares later."""

    def __init__(self, informer: Informer[Any]) -> None:
        self._informer = informer
        self._told: dict[int, tuple[Any, bytes]] = {}
        informer.add_handler(self)

    def on_add(self, obj: Any, initial: bool) -> None:
        self._remember(obj)

    def on_update(self, old: Any, new: Any) -> None:
        self._compare(old)
        self._remember(new)

    def on_delete(self, last: Any) -> None:
        self._told = {
            id(obj): (obj, then) for obj, then in self._told.values() if obj in self._informer.list()
        }

    def check(self) -> None:
        """Fails if any cached object is not as it came."""
        for obj, _ in list(self._told.values()):
            self._compare(obj)

    def _remember(self, obj: Any) -> None:
        self._told[id(obj)] = (obj, msgspec.json.encode(obj))

    def _compare(self, obj: Any) -> None:
        remembered = self._told.get(id(obj))
        if remembered is not None:
            assert msgspec.json.encode(obj) == remembered[1], (
                f"somebody changed {obj.metadata.name} in the cache"
            )
