"""How steps end: a failure becomes Retrying or Failed, a wait is written once, a rest ends in time. Pure."""

from __future__ import annotations

from api.phases import Phase
from api.reasons import Reason, is_retried
from api.views import QiskitJobStatus
from reconcilers.job import statuses
from reconcilers.job.decisions import Decision, Event, Record, Rest
from reconcilers.job.failures import Ending
from reconcilers.job.world import World


def fail(world: World, ending: Ending) -> Record:
    """Failed: for a reason that another attempt cannot mend, or because time is over."""
    status = statuses.failed(world, ending)
    return Record(status, (phase_event(status),))


def fail_without_backend(world: World) -> Record:
    """Failed: the QiskitBackend that the job names is not there."""
    name, namespace = world.job.spec.backend.name, world.job.metadata.namespace
    message = (
        f"namespace {namespace} has no QiskitBackend {name!r}; correct backend.name (`kubectl get qbackend` lists "
        "them), or leave it out"
    )
    return fail(world, Ending(Reason.BACKEND_NOT_FOUND, message))


def fail_or_retry(world: World, ending: Ending) -> Record:
    """Retrying if another attempt can mend it and one is left, else Failed."""
    job = world.job
    if not is_retried(ending.reason):
        return fail(world, ending)
    allowed = job.spec.retry_policy.max_retries
    if job.status.retry_count >= allowed:
        if allowed > 0:
            ending = Ending(ending.reason, f"{ending.message} (after {allowed} retries)")
        return fail(world, ending)
    status = statuses.retrying(world, ending)
    return Record(status, (phase_event(status),))


def unless_recorded(
    world: World, status: QiskitJobStatus, events: tuple[Event, ...], rest: Decision
) -> Decision:
    """Write a status, or rest if it says what is written already."""
    return rest if status == world.job.status else Record(status, events)


def sooner(step: Decision, world: World, deadline: float | None) -> Decision:
    """The step; a rest ends at the deadline at the latest."""
    if deadline is None or not isinstance(step, Rest):
        return step
    remaining = max(deadline - world.now, 0.0)
    return Rest(remaining if step.after is None else min(step.after, remaining))


def phase_event(status: QiskitJobStatus) -> Event:
    """The event of a change of phase: a warning if it brings or may bring a failure."""
    troubled = status.phase in (Phase.FAILED, Phase.RETRYING)
    text = status.message or str(status.phase)
    message = f"{status.reason}: {text}" if troubled and status.reason else text
    return Event("Warning" if troubled else "Normal", str(status.phase), message)
