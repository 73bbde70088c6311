"""QiskitBackend: a named set of defaults and limits that the jobs of a namespace run under."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from api.block import Block
from api.execution_spec import BackendType, NoiseModelName, ResourcesSpec, SimulationMethod
from api.job_status import Conditions


class WarmPoolSpec(Block):
    """Pods that are started beforehand and wait, so that a job need not wait for a pod. Each runs one
    job."""

    size: Annotated[int, Field(ge=0, le=100)] = 0
    """How many pods wait. They hold their requested resources while they do. A job takes one only if its
    priority is the pool's (`normal`) and its resources are absent or equal to the backend's."""


class BackendLimitsSpec(Block):
    """What a job of this backend may ask for, and how many run at once."""

    qubits: Annotated[int, Field(ge=1)] | None = None
    """The largest circuit. A larger one fails with reason InsufficientResources."""

    shots: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """The most shots of one job."""

    concurrent_jobs: Annotated[int, Field(ge=1)] | None = None
    """How many jobs run at once. Further ones wait, by priority and then by age."""


class QiskitBackendSpec(Block):
    """What jobs that name this backend run under."""

    type: BackendType
    """The kind of backend. This release runs `local_simulator`: Qiskit Aer in pods of the namespace."""

    image: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    """The executor's image; the operator's own unless given."""

    resources: ResourcesSpec | None = None
    """What an executor's pod asks of its node, for jobs that do not say it themselves."""

    method: SimulationMethod | None = None
    """The simulation method of jobs that leave theirs at `automatic`."""

    noise_model: NoiseModelName | None = None
    """The noise of jobs that name none, for example `manila`."""

    warm_pool: WarmPoolSpec = WarmPoolSpec()

    limits: BackendLimitsSpec = BackendLimitsSpec()


class QiskitBackendStatus(Block):
    """What the operator says of the backend."""

    ready: bool | None = None
    """Whether jobs that name this backend are run."""

    warm: int | None = None
    """Pods of the warm pool that wait for a job."""

    running: int | None = None
    """Jobs that hold one of the backend's places: submitted and not finished."""

    queued: int | None = None
    """Jobs that wait for a place."""

    observed_generation: Annotated[int, Field(json_schema_extra={"format": "int64"})] | None = None
    """The `metadata.generation` that this status is about."""

    conditions: Conditions | None = None
    """Ready and WarmPoolFilled, each with reason and time."""
