"""Garbage collection for a process whose heap is mostly caches: frozen once, then rarely swept.

A full collection walks every tracked object; with thousands of cached objects that is a pause of the event
loop which frees nothing. Cached views hold no cycles, so reference counting frees what leaves the cache.
"""

from __future__ import annotations

import gc
import time
from typing import Any

from controller.metrics import Metrics

YOUNG_THRESHOLD = 20_000
"""Allocations between young collections. Python's 700 suits scripts; a pass over a burst of events makes tens
of thousands of objects that die by reference count."""

MIDDLE_THRESHOLD = 20
OLD_THRESHOLD = 50
"""A full collection at most every 20 * 50 young ones, and CPython's own 25 % rule on top."""


class GarbagePolicy:
    """Measures every collection, and sets the policy once the caches are filled."""

    def __init__(self, metrics: Metrics) -> None:
        self._pauses = [metrics.gc_pause_seconds.labels(str(generation)) for generation in range(3)]
        self._began = 0.0

    def install(self) -> None:
        """Measure from now on."""
        gc.callbacks.append(self._measure)

    def remove(self) -> None:
        """Stop measuring and give Python its own policy back."""
        if self._measure in gc.callbacks:
            gc.callbacks.remove(self._measure)
        gc.set_threshold(700, 10, 10)
        gc.unfreeze()

    def settle(self) -> None:
        """Sweep once, then keep everything that is alive now out of later collections."""
        gc.collect()
        gc.freeze()
        gc.set_threshold(YOUNG_THRESHOLD, MIDDLE_THRESHOLD, OLD_THRESHOLD)

    def _measure(self, phase: str, details: dict[str, Any]) -> None:
        if phase == "start":
            self._began = time.perf_counter()
        else:
            self._pauses[details["generation"]].observe(time.perf_counter() - self._began)
