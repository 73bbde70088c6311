"""Every metric of the process, in one registry that is passed in: no global state, so tests can read it.

Names begin with `qiskit_operator_`; durations are in seconds. The adapters at the end turn what informers and
queues report into these metrics.
"""

from __future__ import annotations

from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

PREFIX = "qiskit_operator"

FINE_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Buckets from one cache read to one slow API server."""


class Metrics:
    """The process's metrics. `registry` is what /metrics shows."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry if registry is not None else CollectorRegistry()

        self.reconciles = self._counter(
            "reconcile_total", "Finished passes by outcome.", "controller", "result"
        )
        self.reconcile_errors = self._counter(
            "reconcile_errors_total", "Passes that ended in an error and are retried.", "controller"
        )
        self.reconcile_timeouts = self._counter(
            "reconcile_timeouts_total", "Passes that exceeded the controller's own deadline.", "controller"
        )
        self.terminal_errors = self._counter(
            "reconcile_terminal_errors_total", "Passes whose error no retry can mend.", "controller"
        )
        self.reconcile_seconds = self._histogram("reconcile_seconds", "Duration of a pass.", "controller")
        self.active_workers = self._gauge("active_workers", "Passes under way.", "controller")
        self.workers = self._gauge("max_workers", "Passes that may be under way at once.", "controller")

        self.queue_depth = self._gauge("queue_depth", "Keys ready to be worked on.", "queue", "priority")
        self.queue_delayed = self._gauge("queue_delayed", "Keys that wait for their time.", "queue")
        self.queue_unfinished_seconds = self._gauge(
            "queue_unfinished_seconds",
            "Time that keys now in workers' hands have been there, summed.",
            "queue",
        )
        self.queue_longest_seconds = self._gauge(
            "queue_longest_running_seconds", "Time that a key has been in a worker's hands at most.", "queue"
        )
        self.queue_adds = self._counter("queue_adds_total", "Keys queued.", "queue", "priority")
        self.queue_retries = self._counter("queue_retries_total", "Keys queued again under backoff.", "queue")
        self.queue_wait_seconds = self._histogram(
            "queue_wait_seconds", "Time from ready to taken by a worker.", "queue"
        )
        self.queue_work_seconds = self._histogram("queue_work_seconds", "Time from taken to done.", "queue")

        self.informer_events = self._counter(
            "informer_events_total", "Watch events received.", "resource", "type"
        )
        self.informer_lists = self._counter("informer_lists_total", "Collections read in full.", "resource")
        self.informer_list_seconds = self._histogram(
            "informer_list_seconds", "Time to read a collection into the cache.", "resource"
        )
        self.informer_watches = self._counter(
            "informer_watches_total", "Watches that the server accepted.", "resource"
        )
        self.informer_watch_ends = self._counter(
            "informer_watch_ends_total", "Watches that ended, by reason.", "resource", "reason"
        )
        self.informer_problems = self._counter(
            "informer_problems_total",
            "Things skipped or retried that ought not to be.",
            "resource",
            "reason",
        )
        self.informer_last_event_age = self._gauge(
            "informer_last_event_age_seconds", "Time since the server last said anything.", "resource"
        )
        self.informer_objects = self._gauge("informer_objects", "Objects in the cache.", "resource")

        self.leader = self._gauge("leader", "1 while this process holds the lease.")
        self.leader_transitions = self._counter(
            "leader_transitions_total", "Terms begun and ended by this process.", "event"
        )
        self.loop_lag_seconds = self._histogram(
            "event_loop_lag_seconds", "How late the event loop's heartbeat came."
        )
        self.gc_pause_seconds = self._histogram("gc_pause_seconds", "Garbage collections.", "generation")

    def _counter(self, name: str, what: str, *labels: str) -> Counter:
        return Counter(f"{PREFIX}_{name}", what, labels, registry=self.registry)

    def _gauge(self, name: str, what: str, *labels: str) -> Gauge:
        return Gauge(f"{PREFIX}_{name}", what, labels, registry=self.registry)

    def _histogram(self, name: str, what: str, *labels: str) -> Histogram:
        return Histogram(f"{PREFIX}_{name}", what, labels, registry=self.registry, buckets=FINE_SECONDS)


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
