"""The work queue: hands each key to one worker at a time, and loses none (G24-G31).

A key that is added while a worker has it is handed out again once that worker is done. Adding never waits and
there is no bound on the number of keys, so a worker may add to the queue that it drains.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Hashable
from typing import Generic, NamedTuple, TypeVar

from informers.metrics import NoQueueMetrics, QueueMetrics
from informers.retry_delay import RetryDelay
from informers.schedule import Schedule
from informers.timing import Clock, loop_clock

K = TypeVar("K", bound=Hashable)

PRIORITY_INITIAL = -100
"""For what was there at the start and for resyncs: a real change must not wait behind a full replay (G29)."""

PRIORITY_CHANGE = 0

HEARTBEAT = 10.0
"""Longest seconds between two looks at the delayed keys, should timer and clock disagree (G26)."""

SHORTEST_TIMER = 0.001
"""Seconds; a timer that rings a hair early must not spin."""


class ShutDown(Exception):
    """The queue is closed and empty: the worker that gets this ends."""


class _Work(NamedTuple):
    priority: int
    started: float


class WorkQueue(Generic[K]):
    """Keys to be worked on. All methods belong to the event loop's thread; only `get` and `drain` wait."""

    def __init__(
        self,
        *,
        clock: Clock = loop_clock,
        retry_delay: RetryDelay[K] | None = None,
        metrics: QueueMetrics | None = None,
    ) -> None:
        self._clock = clock
        self._retry_delay = retry_delay if retry_delay is not None else RetryDelay[K]()
        self._metrics = metrics or NoQueueMetrics()
        self._schedule = Schedule[K](self._metrics.depth_changed)
        self._working: dict[K, _Work] = {}
        self._getters: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0
        self._closed = False
        self._drained = asyncio.Event()

    def add(self, key: K, priority: int = PRIORITY_CHANGE) -> None:
        """Asks for the key now. Merged with an earlier request, delayed or not; ignored after shutdown."""
        self._put(key, priority, None)

    def add_after(self, key: K, seconds: float, priority: int | None = None) -> None:
        """Asks for the key in `seconds`; the earliest of several requests counts (G26).

        `priority=None` keeps the priority under which the calling worker got the key.
        """
        kept = self._kept_priority(key, priority)
        self._put(key, kept, self._clock() + seconds if seconds > 0 else None)

    def add_rate_limited(self, key: K, priority: int | None = None, *, at_least: float = 0.0) -> None:
        """Asks for the key after its backoff, not before `at_least` seconds, and counts a failure."""
        if not self._closed:
            self.add_after(key, max(at_least, self._retry_delay.next_delay(key)), priority)
            self._metrics.retried()

    def forget(self, key: K) -> None:
        """Ends the key's series of failures: on success, planned requeue, or object gone (G28)."""
        self._retry_delay.forget(key)

    def failures(self, key: K) -> int:
        """How often the key was retried since it was last forgotten."""
        return self._retry_delay.failures(key)

    async def get(self) -> K:
        """Waits for a key and takes it; the caller owes one `done`. Raises ShutDown when there is no more.

        Await it directly or under `asyncio.timeout`. A wrapper that runs it in a task of its own
        (`asyncio.wait_for` before Python 3.12) can be cancelled when the key is already taken, and loses it.
        """
        while True:
            now = self._clock()
            self._schedule.advance(now)
            taken = self._schedule.take()
            if taken is not None:
                self._working[taken.key] = _Work(taken.priority, now)
                self._metrics.waited(now - taken.ready_since)
                return taken.key
            if self._closed:
                raise ShutDown
            await self._wait_for_a_key()

    def done(self, key: K) -> None:
        """Gives the key back. What was added meanwhile is now ready; ValueError if nobody has the key."""
        work = self._working.pop(key, None)
        if work is None:
            raise ValueError(f"done({key!r}) without get")
        self._metrics.worked(self._clock() - work.started)
        self._schedule.release(key)
        self._wake()
        self._note_drained()

    def shut_down(self) -> None:
        """Takes no more keys. Ready keys are still handed out, delayed ones are dropped (G30)."""
        self._closed = True
        self._schedule.drop_delayed()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for getter in self._getters:
            if not getter.done():
                getter.set_result(None)
        self._getters.clear()
        self._note_drained()

    async def drain(self) -> None:
        """Shuts down and waits until the workers have finished every ready key and the ones in their hands.

        Needs workers that go on until ShutDown; the caller bounds the wait.
        """
        self.shut_down()
        await self._drained.wait()

    def __len__(self) -> int:
        """Keys that are ready and not in a worker's hands."""
        return self._schedule.ready()

    def depth(self, priority: int) -> int:
        """Ready keys of one priority."""
        return self._schedule.ready(priority)

    @property
    def delayed(self) -> int:
        """Keys that wait for their time."""
        return self._schedule.delayed

    @property
    def closed(self) -> bool:
        """Whether the queue takes no more keys."""
        return self._closed

    @property
    def unfinished_seconds(self) -> float:
        """Seconds that the keys now in workers' hands have been there, added up; grows when one is stuck."""
        now = self._clock() if self._working else 0.0
        return sum(now - work.started for work in self._working.values())

    @property
    def longest_running_seconds(self) -> float:
        """Seconds of the key that has been in a worker's hands the longest."""
        if not self._working:
            return 0.0
        return self._clock() - min(work.started for work in self._working.values())

    def _kept_priority(self, key: K, priority: int | None) -> int:
        if priority is not None:
            return priority
        work = self._working.get(key)
        return work.priority if work is not None else PRIORITY_CHANGE

    def _put(self, key: K, priority: int, due: float | None) -> None:
        if self._closed:
            return
        if self._schedule.put(key, priority, self._clock(), due):
            self._metrics.added(priority)
        if due is None:
            self._wake()
        else:
            self._set_timer()

    def _set_timer(self) -> None:
        due = self._schedule.next_due()
        if due is None or (self._timer is not None and self._timer_due <= due):
            return
        if self._timer is not None:
            self._timer.cancel()
        wait = min(max(due - self._clock(), SHORTEST_TIMER), HEARTBEAT)
        self._timer_due = due
        self._timer = asyncio.get_running_loop().call_later(wait, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._schedule.advance(self._clock())
        self._wake()
        self._set_timer()

    def _wake(self) -> None:
        """Wakes as many getters as there are ready keys; one too many only looks and waits again."""
        ready = self._schedule.ready()
        while ready and self._getters:
            getter = self._getters.popleft()
            if not getter.done():
                getter.set_result(None)
                ready -= 1

    async def _wait_for_a_key(self) -> None:
        getter = asyncio.get_running_loop().create_future()
        self._getters.append(getter)
        try:
            await getter
        except asyncio.CancelledError:
            # Cancelled after it was woken: the key that it was woken for needs another getter (H1).
            if getter.done() and not getter.cancelled():
                self._wake()
            else:
                with contextlib.suppress(ValueError):  # `_wake` may have thrown the cancelled one out
                    self._getters.remove(getter)
            raise

    def _note_drained(self) -> None:
        if self._closed and not self._working and not self._schedule.ready():
            self._drained.set()
