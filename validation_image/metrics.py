"""What the service counts. Durations in seconds, memory in bytes."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from sandbox import Layer
from validation_image.admission import Admission

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Metrics:
    """One registry for one service, so that several services can live in one process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.validations = Counter(
            "qiskit_validation_validations_total",
            "Validations by verdict, and by the limit that was hit where the verdict is unknown.",
            ("verdict", "reason"),
            registry=self.registry,
        )
        self.validation_seconds = Histogram(
            "qiskit_validation_seconds",
            "Time of one validation, without its wait in the queue.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.validation_memory = Histogram(
            "qiskit_validation_peak_memory_bytes",
            "Peak resident memory of a validation's process, shared pages included.",
            buckets=[1 << power for power in range(26, 34)],
            registry=self.registry,
        )
        self.fetches = Counter(
            "qiskit_validation_fetches_total",
            "Fetches by kind (url, git) and reason of failure (empty on success).",
            ("kind", "reason"),
            registry=self.registry,
        )
        self.fetch_seconds = Histogram(
            "qiskit_validation_fetch_seconds", "Time of one fetch.", buckets=_SECONDS, registry=self.registry
        )
        self.refused = Counter(
            "qiskit_validation_refused_total",
            "Requests answered 429 because the queue was full.",
            ("path",),
            registry=self.registry,
        )
        self.waiting = Gauge(
            "qiskit_validation_waiting", "Requests in the queue.", ("path",), registry=self.registry
        )
        self.working = Gauge(
            "qiskit_validation_working", "Requests at work.", ("path",), registry=self.registry
        )
        self.layers = Gauge(
            "qiskit_validation_sandbox_layer",
            "1 for each layer of the sandbox that holds.",
            ("layer",),
            registry=self.registry,
        )

    def watch(self, path: str, admission: Admission) -> None:
        """Read the gauges of one queue when they are asked for."""
        self.waiting.labels(path).set_function(lambda: admission.waiting)
        self.working.labels(path).set_function(lambda: admission.working)

    def show_layers(self, active: Iterable[Layer]) -> None:
        """Set which layers hold."""
        held = set(active)
        for layer in Layer:
            self.layers.labels(layer).set(layer in held)
