"""Waiting for something to change about a pod or the job that it serves, without polling."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class Changes:
    """Wakes whoever waits for a key (a pod's or a job's UID) when an informer reports a change of it."""

    def __init__(self) -> None:
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    def report(self, key: str) -> None:
        """Wake all who wait for `key`."""
        for event in self._waiting.get(key, ()):
            event.set()

    @contextmanager
    def watching(self, event: asyncio.Event, *keys: str) -> Iterator[None]:
        """While inside, `event` is set by every change of any of `keys`."""
        for key in keys:
            self._waiting[key].add(event)
        try:
            yield
        finally:
            for key in keys:
                self._waiting[key].discard(event)
                if not self._waiting[key]:
                    del self._waiting[key]
