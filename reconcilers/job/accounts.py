"""What a status says of a run: its circuit, its result, and what it took. Pure; what is not known is absent."""

from __future__ import annotations

import math

from api.conditions import JobCondition
from api.durations import format_duration
from api.quantities import format_memory
from api.views import CircuitMetadata, JobMetrics, Results
from backends.aer.observation import started_at
from kube import PartialObject
from messages.circuit import CircuitFacts
from messages.work import Summary
from reconcilers.job.moments import condition_since, moment
from reconcilers.job.receipts import digest_of, location_of
from reconcilers.job.world import World

TOP_COUNTS = 10
"""Outcomes that a status shows."""

INT64_MAX = (1 << 63) - 1


def circuit_metadata(facts: CircuitFacts) -> CircuitMetadata:
    """What a status says of a circuit."""
    return CircuitMetadata(
        hash=facts.hash,
        depth=facts.depth,
        qubits=facts.qubits,
        gates=facts.gates,
        gate_types=facts.gate_types,
        method=facts.method,
        memory_bytes=storable(facts.memory_bytes),
    )


def storable(size: int | None) -> int | None:
    """A size that fits the schema's int64; a state vector of 80 qubits does not."""
    return min(size, INT64_MAX) if size is not None else None


def results_of(stored: PartialObject, summary: Summary | None) -> Results:
    """Where a stored result is, and a short account of it where there is one."""
    if summary is None:
        return Results(location=location_of(stored), digest=digest_of(stored))
    return Results(
        location=location_of(stored),
        digest=digest_of(stored),
        shots=summary.shots,
        execution_time=_duration(summary.execution_seconds),
        top_counts=dict(list(summary.top_counts.items())[:TOP_COUNTS]),
    )


def metrics_of(world: World, summary: Summary | None) -> JobMetrics:
    """What the job took until now; with the executor's own figures where it brought a result."""
    job = world.job
    created, began = moment(job.metadata.creation_timestamp), _execution_began(world)
    return JobMetrics(
        submission_time=job.metadata.creation_timestamp or None,
        queue_time=_between(created, began),
        execution_time=_duration(summary.total_seconds) if summary is not None else None,
        total_time=_between(created, world.now),
        memory_usage=_memory(summary.peak_memory_bytes) if summary is not None else None,
        cpu_usage=_duration(summary.cpu_seconds) if summary is not None else None,
    )


def _execution_began(world: World) -> float | None:
    """When the last attempt's executor began: its container's start, or a warm one's claim if that is later."""
    pod = world.current_pod
    if pod is None:
        return None
    started = moment(started_at(pod))
    recorded = condition_since(world.job, JobCondition.SCHEDULED)
    if started is None or recorded is None:
        return started
    return max(started, recorded)


def _between(start: float | None, end: float | None) -> str | None:
    if start is None or end is None:
        return None
    return _duration(max(end - start, 0.0))


def _duration(length: float | None) -> str | None:
    if length is None or not 0 <= length < math.inf:
        return None
    return format_duration(length)


def _memory(size: int | None) -> str | None:
    """Mebibytes, rounded: nobody reads a peak to the byte."""
    if size is None or size < 0:
        return None
    return format_memory(max(round(size / (1 << 20)), 1) << 20)
