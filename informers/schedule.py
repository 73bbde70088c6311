"""Which key is worked on next: ready keys by priority and age, delayed keys by time, held keys not at all.

The plain data structure under the work queue, without tasks or waiting. A key has at most one entry. Merging
two requests for a key keeps the higher priority and the earlier time (G24, G26, G29).

    put(due=None) ──────────────▶ ready ──take──▶ held ──release──▶ gone, or ready again if put meanwhile
    put(due=t) ──▶ delayed ──advance(now ≥ t)──▶ ready
"""

from __future__ import annotations

import heapq
import itertools
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

K = TypeVar("K", bound=Hashable)

STALE_ALLOWANCE = 64
"""Heap entries that may be out of date beyond the number of delayed keys before the heap is rebuilt."""


class Taken(NamedTuple, Generic[K]):
    """A key handed out: its priority, and since when (clock seconds) it had been ready."""

    key: K
    priority: int
    ready_since: float


@dataclass(slots=True)
class _Entry:
    priority: int
    due: float | None
    ready_since: float


def _ignore(_priority: int, _depth: int) -> None:
    """Nobody counts."""


class Schedule(Generic[K]):
    """Ready, delayed and held keys; times are seconds on the caller's clock."""

    def __init__(self, depth_changed: Callable[[int, int], None] = _ignore) -> None:
        self._entries: dict[K, _Entry] = {}
        self._held: set[K] = set()
        # An OrderedDict finds its first key in constant time; a dict walks over the holes of those gone.
        self._levels: dict[int, OrderedDict[K, None]] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._delayed = 0
        self._order = itertools.count()
        self._depth_changed = depth_changed

    def put(self, key: K, priority: int, now: float, due: float | None = None) -> bool:
        """Asks for the key, at once or at `due`; returns whether the key had no entry before."""
        entry = self._entries.get(key)
        if entry is None:
            self._entries[key] = entry = _Entry(priority, due, now)
            if due is None:
                self._make_ready(key, entry)
            else:
                self._delayed += 1
                self._push(due, key)
            return True
        raised = priority > entry.priority
        if entry.due is None:
            if raised:
                self._unready(key, entry)
                entry.priority = priority
                self._make_ready(key, entry)
            return False
        entry.priority = max(entry.priority, priority)
        if due is None:
            self._become_ready(key, entry, now)
        elif due < entry.due:
            entry.due = due
            self._push(due, key)
        return False

    def advance(self, now: float) -> None:
        """Makes ready what is due, in the order in which it became due."""
        while self._heap and self._heap[0][0] <= now:
            due, _, key = heapq.heappop(self._heap)
            entry = self._entries.get(key)
            if entry is not None and entry.due == due:
                self._become_ready(key, entry, due)

    def next_due(self) -> float | None:
        """When the earliest delayed key becomes ready."""
        while self._heap:
            due, _, key = self._heap[0]
            entry = self._entries.get(key)
            if entry is not None and entry.due == due:
                return due
            heapq.heappop(self._heap)
        return None

    def take(self) -> Taken[K] | None:
        """Removes the oldest key of the highest priority and holds it, so that nobody else gets it (G24)."""
        if not self._levels:
            return None
        priority = max(self._levels)
        key = next(iter(self._levels[priority]))
        entry = self._entries.pop(key)
        self._unready(key, entry)
        self._held.add(key)
        return Taken(key, priority, entry.ready_since)

    def release(self, key: K) -> None:
        """Ends the hold; if the key was asked for meanwhile it goes to the tail of its level (G25)."""
        self._held.remove(key)
        entry = self._entries.get(key)
        if entry is not None and entry.due is None:
            self._make_ready(key, entry)

    def drop_delayed(self) -> None:
        """Forgets everything that is not ready yet."""
        self._entries = {key: entry for key, entry in self._entries.items() if entry.due is None}
        self._heap.clear()
        self._delayed = 0

    def ready(self, priority: int | None = None) -> int:
        """Keys that can be taken now, of one priority or of all."""
        if priority is None:
            return sum(len(level) for level in self._levels.values())
        return len(self._levels.get(priority, ()))

    @property
    def delayed(self) -> int:
        """Keys that wait for their time."""
        return self._delayed

    def _become_ready(self, key: K, entry: _Entry, since: float) -> None:
        entry.due = None
        entry.ready_since = since
        self._delayed -= 1
        self._make_ready(key, entry)

    def _make_ready(self, key: K, entry: _Entry) -> None:
        if key in self._held:
            return
        level = self._levels.setdefault(entry.priority, OrderedDict())
        level[key] = None
        self._depth_changed(entry.priority, len(level))

    def _unready(self, key: K, entry: _Entry) -> None:
        level = self._levels.get(entry.priority)
        if level is None or key not in level:
            return
        del level[key]
        self._depth_changed(entry.priority, len(level))
        if not level:
            del self._levels[entry.priority]

    def _push(self, due: float, key: K) -> None:
        heapq.heappush(self._heap, (due, next(self._order), key))
        if len(self._heap) > 2 * self._delayed + STALE_ALLOWANCE:
            live = {(entry.due, key) for key, entry in self._entries.items() if entry.due is not None}
            self._heap = [item for item in self._heap if (item[0], item[2]) in live]
            heapq.heapify(self._heap)
