"""What queues and informers report, turned into metrics."""

from __future__ import annotations

from typing import Protocol

from prometheus_client import Counter, Gauge

from controller.metrics import Metrics


class ReadableQueue(Protocol):
    """What a queue can tell at any time (G31)."""

    @property
    def delayed(self) -> int: ...
    @property
    def unfinished_seconds(self) -> float: ...
    @property
    def longest_running_seconds(self) -> float: ...


class QueueAdapter:
    """What one work queue reports, as metrics (informers.metrics.QueueMetrics)."""

    def __init__(self, metrics: Metrics, queue: str) -> None:
        self._metrics = metrics
        self._queue = queue
        self._wait = metrics.queue_wait_seconds.labels(queue)
        self._work = metrics.queue_work_seconds.labels(queue)
        self._retries = metrics.queue_retries.labels(queue)
        self._adds: dict[int, Counter] = {}
        self._depths: dict[int, Gauge] = {}

    def follow(self, queue: ReadableQueue) -> None:
        """Let scrapes read what the queue can tell at any time."""
        m, name = self._metrics, self._queue
        m.queue_delayed.labels(name).set_function(lambda: float(queue.delayed))
        m.queue_unfinished_seconds.labels(name).set_function(lambda: queue.unfinished_seconds)
        m.queue_longest_seconds.labels(name).set_function(lambda: queue.longest_running_seconds)

    def rest(self) -> None:
        """Show an empty queue: its term is over, and a follower has no work."""
        m, name = self._metrics, self._queue
        for gauge in (m.queue_delayed, m.queue_unfinished_seconds, m.queue_longest_seconds):
            gauge.labels(name).set_function(float)
        for depth in self._depths.values():
            depth.set(0)

    def added(self, priority: int) -> None:
        counter = self._adds.get(priority)
        if counter is None:
            counter = self._adds[priority] = self._metrics.queue_adds.labels(self._queue, str(priority))
        counter.inc()

    def depth_changed(self, priority: int, depth: int) -> None:
        gauge = self._depths.get(priority)
        if gauge is None:
            gauge = self._depths[priority] = self._metrics.queue_depth.labels(self._queue, str(priority))
        gauge.set(depth)

    def waited(self, seconds: float) -> None:
        self._wait.observe(seconds)

    def worked(self, seconds: float) -> None:
        self._work.observe(seconds)

    def retried(self) -> None:
        self._retries.inc()


class InformerAdapter:
    """What one informer reports, as metrics (informers.metrics.InformerMetrics)."""

    def __init__(self, metrics: Metrics, resource: str) -> None:
        self._metrics = metrics
        self._resource = resource
        self._events: dict[str, Counter] = {}

    def listed(self, items: int, seconds: float) -> None:
        del items  # the gauge of cached objects is read at the scrape
        self._metrics.informer_lists.labels(self._resource).inc()
        self._metrics.informer_list_seconds.labels(self._resource).observe(seconds)

    def watch_opened(self, initial: bool) -> None:
        del initial
        self._metrics.informer_watches.labels(self._resource).inc()

    def watch_ended(self, reason: str) -> None:
        self._metrics.informer_watch_ends.labels(self._resource, reason).inc()

    def event_received(self, type: str) -> None:  # noqa: A002 - as in the protocol
        counter = self._events.get(type)
        if counter is None:
            counter = self._events[type] = self._metrics.informer_events.labels(self._resource, type)
        counter.inc()

    def problem(self, reason: str) -> None:
        self._metrics.informer_problems.labels(self._resource, reason).inc()
