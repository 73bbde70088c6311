"""What a QiskitBackend's status says. Pure."""

from __future__ import annotations

import msgspec

from api.conditions import BackendCondition, ConditionStatus, set_condition
from api.timestamps import format_time
from api.views import QiskitBackend, QiskitBackendStatus
from reconcilers.backend.pool import Pool

RUN_HERE = frozenset({"local_simulator"})
"""Types of backend that this release runs."""


def pool_size(backend: QiskitBackend) -> int:
    """Pods that are to wait. One that is being deleted needs none, though somebody's finalizer keeps it for long."""
    if backend.spec.type not in RUN_HERE or backend.metadata.deletion_timestamp is not None:
        return 0
    return backend.spec.warm_pool.size


def status_of(
    backend: QiskitBackend,
    pool: Pool,
    *,
    running: int,
    queued: int,
    trouble: tuple[str, str] | None,
    now: float,
) -> QiskitBackendStatus:
    """The whole status as it should be. `trouble` is (reason, message) if pods cannot be started or kept."""
    runs = backend.spec.type in RUN_HERE
    generation, time = backend.metadata.generation, format_time(now)
    ready: tuple[ConditionStatus, str, str] = (
        ("True", "Ready", "jobs that name this backend are run")
        if runs
        else ("False", "TypeNotRun", f"backends of type {backend.spec.type!r} are not run here")
    )
    conditions = set_condition(backend.status.conditions, BackendCondition.READY, *ready, time, generation)
    filled = _filled(pool, pool_size(backend), trouble)
    conditions = set_condition(conditions, BackendCondition.WARM_POOL_FILLED, *filled, time, generation)
    return msgspec.structs.replace(
        backend.status,
        ready=runs,
        warm=len(pool.ready),
        running=running,
        queued=queued,
        observed_generation=generation,
        conditions=conditions,
    )


def _filled(pool: Pool, size: int, trouble: tuple[str, str] | None) -> tuple[ConditionStatus, str, str]:
    if len(pool.ready) >= size:
        return ("True", "Filled", "") if size else ("True", "NoPool", "")
    if trouble is not None:
        return ("False", *trouble)
    return ("False", "Starting", "pods of the pool are starting")
