"""What the operator says of a QiskitJob: `status`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from api.block import Block, Time
from api.phases import Phase


class ConditionStatus(Block):
    """One observation of the object."""

    type: Annotated[str, Field(max_length=316)]
    """What was observed."""

    status: Literal["True", "False", "Unknown"]
    """Whether it holds."""

    reason: Annotated[str, Field(max_length=1024)]
    """Why, as one CamelCase word."""

    message: Annotated[str, Field(max_length=32768)] = ""
    """Why, in words."""

    last_transition_time: Time
    """When `status` last changed."""

    observed_generation: int | None = None
    """The `metadata.generation` that was looked at."""


Conditions = Annotated[
    list[ConditionStatus],
    Field(json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
]


class BackendInfo(Block):
    """The backend that ran the circuits."""

    name: str | None = None
    """Its name."""

    version: str | None = None
    """The version of its software."""

    qubits: int | None = None
    """The most qubits that it takes, where that is known: `limits.qubits` of the QiskitBackend. Without it memory is
    the limit."""


class CircuitMetadata(Block):
    """What is known of the circuit; of the widest one where there are several."""

    hash: str | None = None
    """`sha256:<hex>` over the circuit's structure: equal circuits have equal hashes, whatever their
    source."""

    depth: int | None = None
    """Depth before transpilation."""

    qubits: int | None = None
    """Number of qubits."""

    gates: int | None = None
    """Number of gates before transpilation; neither barriers nor measurements count."""

    gate_types: dict[str, int] | None = None
    """Number of gates by name."""

    method: str | None = None
    """The simulation method that fits."""

    memory_bytes: Annotated[int, Field(json_schema_extra={"format": "int64"})] | None = None
    """Bytes that the method needs for the circuit's state, where that can be told beforehand."""


class SourceRecord(Block):
    """The source as it was read."""

    hash: str | None = None
    """`sha256:<hex>` of its bytes. An attempt that finds other bytes ends with reason SourceChanged."""

    revision: str | None = None
    """For Git: the commit."""


class ResultsSummary(Block):
    """Where the result is, and a short account of it."""

    location: str | None = None
    """The ConfigMap's name, or claim and folder on a volume."""

    digest: str | None = None
    """`sha256:<hex>` of `results.json`."""

    shots: int | None = None
    """Shots of each circuit."""

    execution_time: str | None = None
    """Time spent in the simulator, for example `12ms`."""

    top_counts: dict[str, int] | None = None
    """The most frequent outcomes of the first circuit, ten at most."""


class JobMetrics(Block):
    """What the job took. What was not measured is absent."""

    submission_time: Time | None = None
    """When the job was created."""

    queue_time: str | None = None
    """From the job's creation to the start of its last attempt's pod."""

    execution_time: str | None = None
    """Time that the executor spent on the last attempt: build, transpilation and simulation."""

    total_time: str | None = None
    """From the job's creation to its end."""

    memory_usage: str | None = None
    """The most memory that the circuit's process held, for example `103Mi`."""

    cpu_usage: str | None = None
    """CPU time of the circuit's process, for example `1.234s`."""


class QiskitJobStatus(Block):
    """What the operator says of the job. Everything here can be read from the cluster again; nothing is
    kept elsewhere."""

    phase: Phase = Phase.PENDING
    """How far the job has come. Retrying is the time between two attempts; Completed, Failed and Cancelled
    are final."""

    message: str | None = None
    """What happened, in one line; for an error in the circuit's source with the line number and the end of
    the traceback."""

    reason: str | None = None
    """Why, as one CamelCase word that does not change between releases. docs/reference/reasons.md lists
    them."""

    observed_generation: Annotated[int, Field(json_schema_extra={"format": "int64"})] | None = None
    """The `metadata.generation` that this status is about."""

    start_time: Time | None = None
    """When the operator took the job up."""

    completion_time: Time | None = None
    """When the job ended, however it ended."""

    retry_count: int | None = None
    """Retries so far."""

    next_retry_at: Time | None = None
    """When the next attempt is due, in phase Retrying."""

    attempt: int | None = None
    """Number of the current or last attempt, from 1 on."""

    job_id: str | None = None
    """UID of the pod that runs the current attempt."""

    selected_backend: str | None = None
    """The backend that the job runs on: the QiskitBackend's name, or the type where none was named."""

    backend_info: BackendInfo | None = None
    """The backend that ran the circuits."""

    queue_position: int | None = None
    """Place in the backend's queue, 1 being next; absent when the job does not wait there."""

    circuit_metadata: CircuitMetadata | None = None
    """What is known of the circuit; of the widest one where there are several."""

    source: SourceRecord | None = None
    """The source as it was read."""

    results: ResultsSummary | None = None

    metrics: JobMetrics | None = None
    """What the job took. What was not measured is absent."""

    conditions: Conditions | None = None
    """Validated, Scheduled, Submitted, ResultsStored, Complete, Failed and Suspended, each with reason and
    time."""
