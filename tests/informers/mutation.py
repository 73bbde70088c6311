"""Notices when somebody changes a cached object, which all readers share (G16)."""

from __future__ import annotations

from typing import Any

import msgspec

from informers import Informer, Key, key_of, last_state


class MutationDetector:
    """A handler that keeps each object's state as it was told, and compares when the next one comes.

    What a handler raises is logged and no more, so what was found is kept until `check`.
    """

    def __init__(self, informer: Informer[Any]) -> None:
        self._told: dict[Key, tuple[Any, bytes]] = {}
        self._changed: list[str] = []
        informer.add_handler(self)

    def on_add(self, obj: Any, initial: bool) -> None:
        self._told[key_of(obj)] = (obj, msgspec.json.encode(obj))

    def on_update(self, old: Any, new: Any) -> None:
        self._compare(key_of(old))
        self.on_add(new, False)

    def on_delete(self, last: Any) -> None:
        key = key_of(last_state(last))
        self._compare(key)
        self._told.pop(key, None)

    def check(self) -> None:
        """Fails if any object was changed while it was in the cache."""
        for key in list(self._told):
            self._compare(key)
        assert self._changed == [], "somebody changed what is cached"

    def _compare(self, key: Key) -> None:
        told = self._told.get(key)
        if told is not None and msgspec.json.encode(told[0]) != told[1]:
            self._changed.append(str(key))
