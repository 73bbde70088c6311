"""The statuses that the steps of a job's life write. Pure: old status and facts in, new status out.

Each function returns the whole status as it should be; what differs from the old one is what gets written.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from api.conditions import ConditionStatus, JobCondition, find_condition, is_true, set_condition
from api.phases import Phase
from api.reasons import Reason
from api.timestamps import format_time
from api.views import (
    BackendInfo,
    QiskitJob,
    QiskitJobStatus,
    SourceRecord,
)
from backends import Slot
from kube import PartialObject
from reconcilers.job.accounts import circuit_metadata, metrics_of, results_of
from reconcilers.job.failures import Ending
from reconcilers.job.moments import seconds, stamp
from reconcilers.job.receipts import location_of, result_names, summary_of
from reconcilers.job.world import Examined, World

LAST_ATTEMPT = 999_999_999
"""The last number that is read off a pod's label. No job gets there by itself."""


def examined(job: QiskitJob, found: Examined, now: float) -> QiskitJob:
    """The job with what an examination found in its status; not yet a step, but part of the next one."""
    if found.unknown is not None:
        reason, message = found.unknown
        validated: tuple[ConditionStatus, str, str] = ("Unknown", reason, message)
    else:
        validated = ("True", "CircuitValid", "the circuit was built and looked at")
    conditions = set_condition(
        job.status.conditions, JobCondition.VALIDATED, *validated, format_time(now), job.metadata.generation
    )
    status = msgspec.structs.replace(
        job.status,
        conditions=conditions,
        source=SourceRecord(hash=found.source_hash, revision=found.revision),
        circuit_metadata=found.circuit,
    )
    return msgspec.structs.replace(job, status=status)


def validating(world: World) -> QiskitJobStatus:
    """The validation takes a while."""
    return _step(world, phase=Phase.VALIDATING, reason=None, message="the circuit is being validated")


def source_missing(world: World, message: str) -> QiskitJobStatus:
    """There is no source yet."""
    status = _step(world, phase=Phase.PENDING, reason=Reason.SOURCE_NOT_FOUND.value, message=message)
    return _waiting(world, status, JobCondition.VALIDATED, Reason.SOURCE_NOT_FOUND, message)


def output_absent(world: World, message: str) -> QiskitJobStatus:
    """The volume that the result is to go to is not there yet."""
    status = _step(world, phase=Phase.SCHEDULING, reason=Reason.UNSCHEDULABLE.value, message=message)
    return _waiting(world, status, JobCondition.SCHEDULED, Reason.UNSCHEDULABLE, message)


def queued(world: World, position: int) -> QiskitJobStatus:
    """As many jobs run as may."""
    message = "as many jobs run as may; this one waits for a place"
    status = _step(
        world,
        phase=Phase.SCHEDULING,
        reason=Reason.QUEUED.value,
        message=message,
        queue_position=position,
    )
    return _waiting(world, status, JobCondition.SCHEDULED, Reason.QUEUED, message)


def attempt_recorded(world: World, backend: str, slot: Slot | None) -> QiskitJobStatus:
    """The next attempt is about to be submitted: what will be done is written before it is done.

    With a slot the executor is known and runs already, so that this is the write for Running, too. Attempts count
    from 1 on, whatever somebody has written into the status.
    """
    before = world.job.status.attempt
    number = before + 1 if 0 <= before < LAST_ATTEMPT else 1
    where = f"pod {slot.name}" if slot is not None else backend
    status = _step(
        world,
        phase=Phase.RUNNING if slot is not None else Phase.SCHEDULING,
        reason=None,
        message=f"attempt {number} runs on {where}" if slot else f"attempt {number} goes to {where}",
        attempt=number,
        job_id=slot.id if slot is not None else None,
        selected_backend=backend,
    )
    message = f"attempt {number} on {where}"
    # Begun anew, so that transition times are this attempt's.
    status = _without(_without(status, JobCondition.SCHEDULED), JobCondition.SUBMITTED)
    status = _set(world, status, JobCondition.SCHEDULED, "True", "AttemptRecorded", message)
    if slot is not None:
        status = _set(world, status, JobCondition.SUBMITTED, "True", "WarmPodClaimed", where)
    return status


def submitted(world: World, execution_id: str, where: str, *, running: bool) -> QiskitJobStatus:
    """The attempt was accepted as this execution, which from now on may get the work."""
    over = _under_way() if world.job.status.reason is not None else {}
    status = _step(world, job_id=execution_id, **(_running(world) if running else over))
    return _set(world, status, JobCondition.SUBMITTED, "True", "PodCreated", where)


def running(world: World) -> QiskitJobStatus:
    """The executor runs."""
    return _step(world, **_running(world))


def held_up(world: World, cause: Ending) -> QiskitJobStatus:
    """The executor's pod cannot begin yet."""
    return _step(world, reason=cause.reason, message=cause.message)


def under_way(world: World) -> QiskitJobStatus:
    """What held the pod up is over, though it does not run yet."""
    return _step(world, **_under_way())


def retrying(world: World, ending: Ending) -> QiskitJobStatus:
    """The attempt is over, and another one follows after a wait."""
    job = world.job
    count = max(job.status.retry_count, 0) + 1
    due = world.now + backoff(job, count)
    status = _step(
        world,
        phase=Phase.RETRYING,
        reason=ending.reason,
        message=ending.message,
        retry_count=count,
        next_retry_at=stamp(due),
    )
    return _attempt_over(world, status, ending.reason, ending.message)


def failed(world: World, ending: Ending) -> QiskitJobStatus:
    """The job has failed for good."""
    status = _step(
        world,
        phase=Phase.FAILED,
        reason=ending.reason,
        message=ending.message,
        **_ended(world),
    )
    status = _attempt_over(world, status, ending.reason, ending.message)
    status = _set(world, status, JobCondition.COMPLETE, "False", ending.reason, ending.message)
    return _set(world, status, JobCondition.FAILED, "True", ending.reason, ending.message)


def refused_by_validation(world: World, ending: Ending, source: Examined) -> QiskitJobStatus:
    """The circuit cannot be run; the source that was looked at is recorded."""
    status = failed(world, ending)
    status = msgspec.structs.replace(
        status,
        source=SourceRecord(hash=source.source_hash, revision=source.revision),
        circuit_metadata=source.circuit,
    )
    return _set(world, status, JobCondition.VALIDATED, "False", ending.reason, ending.message)


def cancelled(world: World) -> QiskitJobStatus:
    """The user has ended the job."""
    message = "cancelled by spec.cancel"
    status = _step(
        world, phase=Phase.CANCELLED, reason=Reason.CANCELLED.value, message=message, **_ended(world)
    )
    status = _attempt_over(world, status, Reason.CANCELLED, message)
    return _set(world, status, JobCondition.COMPLETE, "False", Reason.CANCELLED, message)


def suspended(world: World) -> QiskitJobStatus:
    """The user holds the job back. The attempt, if there was one, is over and does not count as a retry."""
    message = "held back by spec.suspend"
    status = _step(
        world,
        resumes=False,
        phase=Phase.PENDING,
        reason=Reason.SUSPENDED.value,
        message=message,
        job_id=None,
    )
    status = _attempt_over(world, status, Reason.SUSPENDED, message)
    validated = find_condition(status.conditions, JobCondition.VALIDATED)
    if validated is not None and validated.status == "False":
        # What it waited for is waited for anew, with the full time, when it goes on.
        status = _set(world, status, JobCondition.VALIDATED, "Unknown", Reason.SUSPENDED, message)
    return _set(world, status, JobCondition.SUSPENDED, "True", Reason.SUSPENDED, message)


def completed(world: World, stored: PartialObject) -> QiskitJobStatus:
    """The result is stored."""
    job, summary = world.job, summary_of(stored)
    location = location_of(stored)
    message = f"the result is in {location}"
    if stored.metadata.name == location != (wanted := result_names(job)[0]):
        message += f", because ConfigMap {wanted} exists and is not this job's"
    ended = _ended(world)
    ended["metrics"] = metrics_of(world, summary)
    changes: dict[str, Any] = {}
    if summary is not None:
        changes["circuit_metadata"] = circuit_metadata(summary.circuit)
        changes["backend_info"] = BackendInfo(
            name=job.status.selected_backend or job.spec.backend.type,
            version=summary.backend_version,
            qubits=world.backend.spec.limits.qubits if world.backend is not None else None,
        )
    status = _step(
        world,
        phase=Phase.COMPLETED,
        reason=None,
        message=message,
        results=results_of(stored, summary),
        **changes,
        **ended,
    )
    status = _set(world, status, JobCondition.RESULTS_STORED, "True", "Stored", message)
    return _set(world, status, JobCondition.COMPLETE, "True", "Completed", message)


def backoff(job: QiskitJob, retry: int) -> float:
    """Seconds to wait before the given retry (1 is the first): initial, times multiplier, up to maximum."""
    policy = job.spec.retry_policy.backoff
    first, most = seconds(policy.initial, 10.0), seconds(policy.maximum, 300.0)
    try:
        wait = first * max(policy.multiplier, 1.0) ** max(retry - 1, 0)
    except OverflowError:
        return most
    return min(wait, most) if math.isfinite(wait) else most


def _step(world: World, *, resumes: bool = True, **changes: Any) -> QiskitJobStatus:
    """The old status with changes, and with what every write says: that the job was taken up, is not suspended any
    more, and neither waits in line nor for a retry, unless that is what changes."""
    old = world.job.status
    waits: dict[str, Any] = {"queue_position": None, "next_retry_at": None}
    status = msgspec.structs.replace(
        old,
        observed_generation=world.job.metadata.generation,
        start_time=old.start_time or format_time(world.now),
        **(waits | changes),
    )
    if resumes and is_true(old.conditions, JobCondition.SUSPENDED):
        status = _set(world, status, JobCondition.SUSPENDED, "False", "Resumed", "")
    return status


def _set(
    world: World,
    status: QiskitJobStatus,
    type_: JobCondition,
    value: ConditionStatus,
    reason: str,
    message: str,
) -> QiskitJobStatus:
    conditions = set_condition(
        status.conditions,
        type_,
        value,
        str(reason),
        message,
        format_time(world.now),
        world.job.metadata.generation,
    )
    return msgspec.structs.replace(status, conditions=conditions)


def _without(status: QiskitJobStatus, type_: JobCondition) -> QiskitJobStatus:
    conditions = tuple(condition for condition in status.conditions if condition.type != type_)
    return msgspec.structs.replace(status, conditions=conditions)


def _waiting(
    world: World, status: QiskitJobStatus, type_: JobCondition, reason: str, message: str
) -> QiskitJobStatus:
    """A condition that does not hold yet. A wait for something else is a new wait with a time of its own."""
    old = find_condition(status.conditions, type_)
    if old is not None and (old.status, old.reason) == ("False", str(reason)):
        return status
    return _set(world, _without(status, type_), type_, "False", reason, message)


def _attempt_over(world: World, status: QiskitJobStatus, reason: str, message: str) -> QiskitJobStatus:
    for type_ in (JobCondition.SCHEDULED, JobCondition.SUBMITTED):
        if find_condition(status.conditions, type_) is not None:
            status = _set(world, status, type_, "False", reason, message)
    return status


def _running(world: World) -> dict[str, Any]:
    return {
        "phase": Phase.RUNNING,
        "reason": None,
        "message": f"attempt {world.job.status.attempt} runs",
    }


def _under_way() -> dict[str, Any]:
    return {"reason": None, "message": "the executor's pod is starting"}


def _ended(world: World) -> dict[str, Any]:
    return {
        "completion_time": format_time(world.now),
        "metrics": metrics_of(world, None),
    }
