"""How many may be inside: a bounded number at work, a bounded number in the queue, everybody else comes back."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

_LONGEST_RETRY_SECONDS = 30
_SMOOTHING = 0.2
"""Weight of the latest turn in the average that `Retry-After` is made from."""


class Busy(Exception):
    """The queue is full. Try again after `retry_after` seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"too many requests; try again in {retry_after} s")
        self.retry_after = retry_after


class Admission:
    """First come, first served, at most `concurrency` at a time and `queue` waiting."""

    def __init__(self, concurrency: int, queue: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._places = asyncio.Semaphore(concurrency)
        self._concurrency = concurrency
        self._queue = queue
        self._clock = clock
        self._turn_seconds = 0.0
        self.waiting = 0
        self.working = 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a place and hold it. Raises Busy at once where even the queue is full."""
        if self._places.locked() and self.waiting >= self._queue:
            raise Busy(self._retry_after())
        self.waiting += 1
        try:
            await self._places.acquire()
        finally:
            self.waiting -= 1
        self.working += 1
        started = self._clock()
        try:
            yield
        finally:
            self._turn_seconds += _SMOOTHING * (self._clock() - started - self._turn_seconds)
            self.working -= 1
            self._places.release()

    def _retry_after(self) -> int:
        """When about half of those who wait will have had their turn."""
        seconds = self._turn_seconds * (self.waiting / 2 + 1) / self._concurrency
        return max(1, min(_LONGEST_RETRY_SECONDS, math.ceil(seconds)))
