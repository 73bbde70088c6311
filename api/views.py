"""QiskitJob and QiskitBackend as the operator reads them: decoded once from a watch line, never changed.

Every field here exists under the same JSON name in the pydantic models, which are the contract; a test
holds the two together. Defaults repeat the schema's, so that an object that was stored without one reads
the same.
"""

from __future__ import annotations

import msgspec

from api.conditions import Condition
from api.meta import ObjectMeta
from api.phases import Phase


class View(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """A part of an object, in the API's camelCase; unknown fields are dropped.

    The garbage collector leaves views alone (`gc=False`): what is decoded from JSON and never changed holds no
    reference to itself, and a cache of thousands would otherwise be walked at every full collection.
    """


class BackendChoice(View, frozen=True):
    type: str = ""
    name: str | None = None


class ConfigMapKey(View, frozen=True):
    name: str = ""
    key: str = ""


class GitFile(View, frozen=True):
    repository: str = ""
    path: str = ""
    branch: str | None = None
    revision: str | None = None


class Circuit(View, frozen=True):
    """`code` is `None` too where a cache has dropped it to save memory."""

    source: str = ""
    code: str | None = None
    config_map_ref: ConfigMapKey | None = None
    url: str | None = None
    git_ref: GitFile | None = None
    format: str | None = None
    entrypoint: str | None = None
    parameters: tuple[dict[str, float], ...] = ()


class Execution(View, frozen=True):
    shots: int = 1024
    optimization_level: int = 1
    max_execution_time: str | None = None
    priority: str = "normal"
    seed_simulator: int | None = None
    seed_transpiler: int | None = None
    method: str = "automatic"
    noise_model: str | None = None


class Resources(View, frozen=True):
    """Quantities as they were written: text or whole numbers."""

    requests: dict[str, str | int] = {}
    limits: dict[str, str | int] = {}


class Backoff(View, frozen=True):
    initial: str = "10s"
    multiplier: float = 2
    maximum: str = "5m"


class RetryPolicy(View, frozen=True):
    max_retries: int = 3
    backoff: Backoff = Backoff()


class Timeouts(View, frozen=True):
    pending: str = "10m"
    total: str | None = None


class Output(View, frozen=True):
    type: str = "configmap"
    location: str | None = None
    path: str | None = None
    format: str = "json"
    retention: str = "delete"


class QiskitJobSpec(View, frozen=True):
    backend: BackendChoice = BackendChoice()
    circuit: Circuit = Circuit()
    execution: Execution = Execution()
    resources: Resources = Resources()
    retry_policy: RetryPolicy = RetryPolicy()
    timeouts: Timeouts = Timeouts()
    suspend: bool = False
    cancel: bool = False
    ttl_seconds_after_finished: int | None = None
    output: Output = Output()


class BackendInfo(View, frozen=True):
    name: str | None = None
    version: str | None = None
    qubits: int | None = None


class CircuitMetadata(View, frozen=True):
    hash: str | None = None
    depth: int | None = None
    qubits: int | None = None
    gates: int | None = None
    gate_types: dict[str, int] = {}
    method: str | None = None
    memory_bytes: int | None = None


class SourceRecord(View, frozen=True):
    hash: str | None = None
    revision: str | None = None


class Results(View, frozen=True):
    location: str | None = None
    digest: str | None = None
    shots: int | None = None
    execution_time: str | None = None
    top_counts: dict[str, int] = {}


class JobMetrics(View, frozen=True):
    submission_time: str | None = None
    queue_time: str | None = None
    execution_time: str | None = None
    total_time: str | None = None
    memory_usage: str | None = None
    cpu_usage: str | None = None


class QiskitJobStatus(View, frozen=True):
    phase: Phase = Phase.PENDING
    message: str | None = None
    reason: str | None = None
    observed_generation: int = 0
    start_time: str | None = None
    completion_time: str | None = None
    retry_count: int = 0
    next_retry_at: str | None = None
    attempt: int = 0
    job_id: str | None = None
    selected_backend: str | None = None
    backend_info: BackendInfo | None = None
    queue_position: int | None = None
    circuit_metadata: CircuitMetadata | None = None
    source: SourceRecord | None = None
    results: Results | None = None
    metrics: JobMetrics | None = None
    conditions: tuple[Condition, ...] = ()


class QiskitJob(View, frozen=True):
    """A job as the cache holds it."""

    metadata: ObjectMeta
    spec: QiskitJobSpec = QiskitJobSpec()
    status: QiskitJobStatus = QiskitJobStatus()


class WarmPool(View, frozen=True):
    size: int = 0


class BackendLimits(View, frozen=True):
    qubits: int | None = None
    shots: int | None = None
    concurrent_jobs: int | None = None


class QiskitBackendSpec(View, frozen=True):
    type: str = ""
    image: str | None = None
    resources: Resources = Resources()
    method: str | None = None
    noise_model: str | None = None
    warm_pool: WarmPool = WarmPool()
    limits: BackendLimits = BackendLimits()


class QiskitBackendStatus(View, frozen=True):
    ready: bool = False
    warm: int = 0
    running: int = 0
    queued: int = 0
    observed_generation: int = 0
    conditions: tuple[Condition, ...] = ()


class QiskitBackend(View, frozen=True):
    """A backend as the cache holds it."""

    metadata: ObjectMeta
    spec: QiskitBackendSpec = QiskitBackendSpec()
    status: QiskitBackendStatus = QiskitBackendStatus()
