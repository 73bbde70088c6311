"""What the gateway and an executor say to each other.

    GET  /v1/work                  200 WorkOrder · 204 nothing yet, ask again · 401/403 not one of ours ·
                                   409 Refusal (this attempt is over or its source changed: stop)
    POST /v1/progress   Progress   204 go on · 409 Refusal (this attempt is over: stop)
    POST /v1/result     HandIn     200 Accepted · 409 Refusal · 413 Refusal (ResultTooLarge) · 503 try again;
                                   with Refusal (OutputConflict) only for a while: the cluster is against it

All bodies are JSON (msgspec), all requests carry `Authorization: Bearer <projected token>`. GET /v1/work is
a long poll of at most `WORK_POLL_SECONDS`.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from messages.circuit import CircuitFacts, Source

TOKEN_AUDIENCE = "quantum.io/gateway"  # noqa: S105 - the name of an audience, not a secret
"""Audience of the projected tokens; a token for the API server is refused by the gateway and vice versa."""

WORK_POLL_SECONDS = 25.0
"""How long the gateway holds GET /v1/work: below the 30 s at which common proxies cut an idle request."""

RESULT_SCHEMA = "quantum.io/result/v1"


class Execution(msgspec.Struct, frozen=True, kw_only=True):
    """How to run the circuits (`spec.execution` with every default filled in).

    A seed of `None` is drawn by the executor and recorded in the result. `max_execution_seconds` is the
    wall time of this attempt from hand-out to hand-in. `noise_field` is where `noise_model` comes from, for messages.
    """

    shots: int
    optimization_level: int
    method: str
    max_execution_seconds: float
    noise_model: str | None = None
    noise_field: str = "spec.execution.noiseModel"
    seed_simulator: int | None = None
    seed_transpiler: int | None = None


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What the pod may use, so that the sandbox can refuse before the kernel kills. `qubits` is the largest
    circuit that the backend takes: validation sees what the code chooses to show it, only this step counts."""

    memory_bytes: int | None = None
    cpus: float | None = None
    qubits: int | None = None


class Output(msgspec.Struct, frozen=True, kw_only=True):
    """Where the result goes (`spec.output`). For type `pvc` the supervisor writes the files itself."""

    type: str
    format: str = "json"
    path: str | None = None


class WorkOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt at one job, handed to one executor. Times are RFC 3339 UTC."""

    job_name: str
    namespace: str
    job_uid: str
    attempt: int
    backend: str
    source: Source
    execution: Execution
    limits: Limits
    output: Output
    submission_time: str
    operator_version: str
    executor_image: str


class Stage(StrEnum):
    """How far an executor has come."""

    BUILDING = "Building"
    TRANSPILING = "Transpiling"
    RUNNING = "Running"
    HANDING_IN = "HandingIn"


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """Sent at each change of stage and then every few seconds; the answer tells whether to go on."""

    job_uid: str
    attempt: int
    stage: Stage
    circuits_done: int = 0
    circuits_total: int = 0


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The short account of a result that fits in a status. Times in seconds, memory in bytes.

    `circuit` and `method` are of the widest circuit where there are several. `top_counts` holds at most ten outcomes
    of the first one, most frequent first. `execution_seconds` is the simulation alone, `total_seconds` the attempt
    from its hand-out on: what it waited before is not in it.
    """

    shots: int
    top_counts: dict[str, int]
    circuit: CircuitFacts
    circuits: int
    backend_version: str
    method: str
    execution_seconds: float
    total_seconds: float
    peak_memory_bytes: int | None = None
    cpu_seconds: float | None = None


class HandIn(msgspec.Struct, frozen=True, kw_only=True):
    """A finished attempt. `document` is the result document (`results.json`) byte for byte.

    `digest` is `sha256:<hex>` of `document`. `extras` are further keys or files by name (results.pickle,
    results.csv, circuit.qpy). For output type `pvc` the files are already on the volume, and both
    `document` and `extras` are empty.
    """

    job_uid: str
    attempt: int
    digest: str
    document: bytes
    summary: Summary
    extras: dict[str, bytes] = {}


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """The result is stored at `location` (the ConfigMap's name, or the claim's name and path)."""

    location: str


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """The gateway will not go on with this attempt; `reason` is a `status.reason` or a gateway reason."""

    reason: str
    message: str
