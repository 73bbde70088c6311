"""From a recorded attempt to its end. Pure."""

from __future__ import annotations

import msgspec

from api.conditions import JobCondition, find_condition
from api.phases import Phase
from api.reasons import Reason
from backends import State
from backends.aer.observation import ended_at, has_ended, is_finished, is_running, started_at
from kube import Pod
from reconcilers.job import statuses
from reconcilers.job.decisions import (
    Decision,
    Event,
    FindBackend,
    FindExecution,
    FindResult,
    FindState,
    Record,
    Rest,
    Submit,
    TakePlace,
    TryLater,
)
from reconcilers.job.failures import (
    MESSAGE_LIMIT,
    Ending,
    disruption_of,
    ending_of,
    says_the_same,
    waiting_cause,
)
from reconcilers.job.moments import (
    EXECUTION_GRACE,
    condition_since,
    max_execution,
    moment,
    pending_deadline,
)
from reconcilers.job.outcomes import fail, fail_or_retry, fail_without_backend, phase_event
from reconcilers.job.settings import JobSettings
from reconcilers.job.submissions import backend_name
from reconcilers.job.world import Admitted, World

RECORDED_BY = 1.0
"""Seconds after its creation by which a pod is recorded at the latest. One that runs sooner is recorded in the
same write as that; no executor asks for its work in less."""

CACHE_GRACE = 10.0
"""Seconds for what was just submitted to show in the cache, before the backend itself is asked for it."""

SHOWN_AFTER = 2.0
"""Seconds that a pod may be held up before its job says so: in a burst many are, for a moment."""

FINISH_GRACE = 10.0
"""Seconds from an executor's end to its pod's, which also tells of an eviction. A pod that takes longer has other
containers that run on: what its executor said is all that will be said."""

TERMINATION_GRACE = 30.0
"""Seconds beyond a pod's own grace period after which its node is taken to be lost."""


def follow(world: World, settings: JobSettings) -> Decision:
    """The next step of the current attempt."""
    if world.refusal is not None:
        return fail_or_retry(world, Ending(*world.refusal))
    if world.slot_gone:
        return _another_attempt(world)
    pod = world.current_pod
    if pod is None:
        return _without_pod(world)
    if has_ended(pod):
        if not is_finished(pod) and (soon := _finishes_within(world, pod)) > 0:
            return Rest(soon)
        return _end(_recorded(world, pod.metadata.uid), ending_of(pod))
    if world.job.status.job_id != pod.metadata.uid:
        return _record_execution(world, pod.metadata.uid, pod.metadata.name, running=is_running(pod))
    if pod.metadata.deletion_timestamp is not None:
        return _being_deleted(world, pod)
    if is_running(pod):
        return _running(world, pod, settings)
    return _pending(world, pod)


def _without_pod(world: World) -> Decision:
    """No pod of this attempt in the cache: not submitted yet, not seen yet, or gone."""
    status, handle = world.job.status, world.handle
    if handle is not None and handle.attempt.number == status.attempt:
        if status.job_id != handle.id:
            return _record_execution(world, handle.id, handle.name, running=False)
        if _submitted_within(world, CACHE_GRACE) and not world.pod_absent:
            return Rest(CACHE_GRACE)
    if (
        status.job_id is None
        or world.slot_pod is not None
        or (handle is None and world.unclaimed is not None)
    ):
        return _submit(world)
    if not world.pod_absent:
        return FindExecution()
    if world.slot_taken:
        return _another_attempt(world)
    return _end(world, _last_words(world) or Ending(Reason.EXECUTOR_LOST, "the executor's pod is gone"))


def _last_words(world: World) -> Ending | None:
    """Why a pod that is gone has ended, if it was seen to end or to be taken away."""
    pod = world.departed
    if pod is None:
        return None
    return ending_of(pod) if has_ended(pod) else disruption_of(pod)


def _submit(world: World) -> Decision:
    """Submit with what the backend says, never without: it may be gone since the attempt was recorded."""
    if world.obstacle is not None:
        return _obstructed(world, *world.obstacle)
    if world.job.spec.backend.name is None or world.backend is not None:
        return Submit()
    return fail_without_backend(world) if world.backend_absent else FindBackend()


def _obstructed(world: World, why: str, after: float | None) -> Decision:
    """The cluster does not do what the attempt needs: say so once for each cause, and wait for it in place."""
    job = world.job
    since = condition_since(job, JobCondition.SCHEDULED)
    if since is not None and world.now >= pending_deadline(job, since):
        pending = job.spec.timeouts.pending
        message = f"the attempt could not be started within spec.timeouts.pending, {pending}: {why}"
        return fail_or_retry(world, Ending(Reason.PROVIDER_UNAVAILABLE, message))
    cause = Ending(Reason.PROVIDER_UNAVAILABLE, f"the attempt cannot be started yet: {why}"[:MESSAGE_LIMIT])
    is_new = cause.reason != job.status.reason
    if not is_new and says_the_same(cause.message, job.status.message or ""):
        return TryLater(why, after)
    if since is not None and since <= world.now < since + SHOWN_AFTER:
        return TryLater(why, after)
    # Whatever comes after the first is told by the status alone: causes that take turns are no news.
    events = (Event("Warning", cause.reason, cause.message),) if is_new else ()
    return Record(statuses.held_up(world, cause), events)


def _record_execution(world: World, execution_id: str, name: str, *, running: bool) -> Decision:
    """Record which pod may have the work; together with Running if that comes soon."""
    if not running and world.handle is not None and _submitted_within(world, RECORDED_BY):
        return Rest(world.handle_since + RECORDED_BY - world.now)
    status = statuses.submitted(world, execution_id, f"pod {name}", running=running)
    event = Event("Normal", "Submitted", f"attempt {status.attempt} is pod {name}")
    return Record(status, (event, phase_event(status)) if running else (event,))


def _submitted_within(world: World, seconds: float) -> bool:
    """Whether the handle is no older. One from the future is of a clock that was set back since: it is old."""
    return world.handle_since <= world.now < world.handle_since + seconds


def _recorded(world: World, execution_id: str) -> World:
    """The world with the pod in the job's status, for the write that also says how it ended."""
    status = msgspec.structs.replace(world.job.status, job_id=execution_id)
    return msgspec.structs.replace(world, job=msgspec.structs.replace(world.job, status=status))


def _finishes_within(world: World, pod: Pod) -> float:
    """Seconds for which the pod of an executor that has ended may still finish, and say more of why it did. An end
    that is further ahead than clocks differ is of a clock that was set back since: it is old."""
    ended = moment(ended_at(pod))
    remaining = ended + FINISH_GRACE - world.now if ended is not None else 0.0
    return remaining if remaining <= 2 * FINISH_GRACE else 0.0


def _another_attempt(world: World) -> Decision:
    """Nothing went wrong with the attempt, so this is no retry: its warm pod was gone, or somebody else's, before it
    could be claimed, or its user stopped it."""
    if world.place is None:
        return TakePlace()
    slot = world.place.slot if isinstance(world.place, Admitted) else None
    status = statuses.attempt_recorded(world, backend_name(world.job), slot)
    return Record(status, (phase_event(status),))


def _pending(world: World, pod: Pod) -> Decision:
    """The pod does not run yet: show what holds it up, and wait for it in place.

    A pod may be made long after its attempt was recorded: whoever recorded it died, or nobody answered.
    """
    moments = (condition_since(world.job, JobCondition.SCHEDULED), moment(pod.metadata.creation_timestamp))
    since = max((at for at in moments if at is not None), default=world.now)
    deadline = pending_deadline(world.job, since)
    cause = waiting_cause(pod, world.job.status.circuit_metadata)
    if world.now >= deadline:
        # A cache that was cut off meanwhile does not show what began in time.
        if world.state is None:
            return FindState()
        if world.state != State.QUEUED:
            return Rest(CACHE_GRACE)
        pending = world.job.spec.timeouts.pending
        message = f"the pod did not begin to run within spec.timeouts.pending, {pending}"
        if cause is not None:
            return fail(world, Ending(cause.reason, f"{cause.message}; {message}"))
        return fail(world, Ending(Reason.PENDING_TIMEOUT, message))
    rest = Rest(deadline - world.now)
    shown = world.job.status.reason
    if cause is None:
        return Record(statuses.under_way(world)) if shown is not None else rest
    if cause.reason == shown:
        return rest
    if world.now < since + SHOWN_AFTER:
        return Rest(since + SHOWN_AFTER - world.now)
    return Record(statuses.held_up(world, cause), (Event("Warning", cause.reason, cause.message),))


def _running(world: World, pod: Pod, settings: JobSettings) -> Decision:
    # A warm pod is Running before it is claimed, and what held its claim up is over.
    if world.job.status.phase != Phase.RUNNING or world.job.status.reason is not None:
        status = statuses.running(world)
        return Record(status, (phase_event(status),))
    moments = (moment(started_at(pod)), condition_since(world.job, JobCondition.SUBMITTED))
    began = max((at for at in moments if at is not None), default=world.now)
    allowed = max_execution(world.job, settings.default_max_execution)
    deadline = began + allowed + EXECUTION_GRACE
    if world.now < deadline:
        return Rest(deadline - world.now)
    return _end(world, Ending(Reason.EXECUTION_TIMEOUT, f"the attempt took longer than {allowed:g} s"))


def _being_deleted(world: World, pod: Pod) -> Decision:
    """Somebody deletes the pod. It may still hand in; if its node does not answer it stays for ever."""
    gone_by = moment(pod.metadata.deletion_timestamp)
    deadline = (gone_by if gone_by is not None else world.now) + TERMINATION_GRACE
    if world.now < deadline:
        return Rest(deadline - world.now)
    lost = Ending(Reason.NODE_LOST, f"pod {pod.metadata.name} is to be deleted and its node does not do it")
    return _end(world, disruption_of(pod) or lost)


def _end(world: World, ending: Ending) -> Decision:
    """The attempt brought no result that the cache knows of; one that is stored all the same counts."""
    if not world.result_absent:
        return FindResult()
    if ending.reason == Reason.SUSPENDED:
        return _stopped(world, ending)
    return fail_or_retry(world, ending)


def _stopped(world: World, ending: Ending) -> Decision:
    """The executor was told to stop for a suspension that was taken back before it was recorded.

    Such a suspension is a change of the spec since the attempt was recorded, and recording the next one uses it up: an
    executor that says so without it, again and again, spends retries like any other that is lost.
    """
    scheduled = find_condition(world.job.status.conditions, JobCondition.SCHEDULED)
    if scheduled is not None and world.job.metadata.generation > scheduled.observed_generation:
        return _another_attempt(world)
    return fail_or_retry(world, Ending(Reason.EXECUTOR_LOST, ending.message))
