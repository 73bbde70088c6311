"""Every metric of the process, in one registry that is passed in: no global state, so tests can read it.

Names begin with `qiskit_operator_`; durations are in seconds.
"""

from __future__ import annotations

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
