"""The life of a job as one state machine: `decide(world)` names the next step. Pure.

                      deleted ─▶ Stop what still runs        ended ─▶ Stop what still runs, then TTL ─▶ DeleteJob
                      a result is stored ─▶ Completed        cancel ─▶ Cancelled      total time over ─▶ Failed
                      suspend ─▶ Pending                     a pod of a past attempt ─▶ Stop

    no attempt open   (starting.py)                          attempt open            (running.py)

    Pending ──Examine──▶ refused ───────────▶ Failed         Scheduling ──Submit──▶ refused ──▶ Failed, Retrying
       │        │ ╲ takes long ▶ Validating                      │            ╲ slot gone ──▶ the next attempt
       │        │  ╲ no source ▶ waits, Failed                   ├─ pod made ──▶ jobId recorded
       │        │   ╲ service down ▶ Retrying                    ├─ pod cannot start ──▶ waits, Failed
       ▼        ▼                                                ▼
    fits? ──no──▶ Failed                                     Running ──FindResult──▶ stored ──▶ Completed
       │                                                         ├─ pod ended or lost ──▶ Failed, Retrying
    CheckOutput ──taken──▶ Failed                                └─ maxExecutionTime over ──▶ Failed
       │   ╲ no volume ▶ waits, Failed
    TakePlace ──none──▶ Scheduling, queued                   Retrying ── nextRetryAt ──▶ as Pending
       │
       ▼
    attempt N recorded: Scheduling, or Running on a warm pod

The reconciler carries a step out, looks at the world again, and asks for the next one, until it is a Rest
or, where the cluster does not do what a step needs, a TryLater.
"""

from __future__ import annotations

from msgspec.structs import replace

from api.phases import Phase, is_terminal
from api.reasons import Reason
from backends.aer.observation import attempt_number, is_finished
from kube import Pod
from reconcilers.job import statuses
from reconcilers.job.decisions import Decision, DeleteJob, FindResult, Record, Rest, Stop
from reconcilers.job.failures import Ending
from reconcilers.job.moments import moment, total_deadline
from reconcilers.job.outcomes import fail, phase_event, sooner, unless_recorded
from reconcilers.job.running import follow
from reconcilers.job.settings import JobSettings
from reconcilers.job.starting import start
from reconcilers.job.world import World, is_open

BEHIND = 2.0
"""Seconds to rest when the cache shows pods of an attempt that this view of the job does not know yet."""

NEWS_SECONDS = 60.0
"""How long such a pod is waited for. No cache lags for longer, and a write on an old view conflicts anyway: the
pod is somebody's who has written our labels on it, and must not hold the job up for ever."""


LEAVE_SECONDS = 30.0
"""How long an executor whose result was taken gets to end by itself, which takes it a fraction of a second."""


ORPHANED = "orphan"
"""The finalizer of an object whose dependents are to stay."""


def decide(world: World, settings: JobSettings) -> Decision:
    """The next step for a job."""
    step = _next(world, settings)
    metadata, status = world.job.metadata, world.job.status
    edited = 0 < status.observed_generation < metadata.generation
    if isinstance(step, Rest) and edited and metadata.deletion_timestamp is None:
        # Nothing follows from the edit, but it was looked at: that is what tools wait for that deploy.
        return Record(replace(status, observed_generation=metadata.generation))
    return step


def _next(world: World, settings: JobSettings) -> Decision:
    job = world.job
    if job.metadata.deletion_timestamp is not None:
        return _going(world)
    if is_terminal(job.status.phase):
        return _ended(world)
    if world.result is not None:
        status = statuses.completed(world, world.result)
        return Record(status, (phase_event(status),))
    if job.spec.cancel:
        if is_open(job) and not world.result_absent:
            return FindResult()
        status = statuses.cancelled(world)
        return Record(status, (phase_event(status),))
    deadline = total_deadline(job)
    if deadline is not None and world.now >= deadline:
        if is_open(job) and not world.result_absent:
            return FindResult()
        total = job.spec.timeouts.total
        return fail(
            world, Ending(Reason.TOTAL_TIMEOUT, f"the job took longer than spec.timeouts.total, {total}")
        )
    if any(_is_news(world, pod) for pod in world.pods):
        return Rest(BEHIND)
    past = _past_attempt(world)
    if past is not None:
        return Stop(past)
    if job.spec.suspend:
        status = statuses.suspended(world)
        return sooner(unless_recorded(world, status, (phase_event(status),), Rest()), world, deadline)
    step = follow(world, settings) if is_open(job) else start(world)
    return sooner(step, world, deadline)


def _going(world: World) -> Decision:
    """A job that is being deleted takes its pods with it once it is gone. One that somebody's finalizer keeps needs
    none that run either; only who asked for that (`--cascade=orphan`) keeps them."""
    if ORPHANED not in world.job.metadata.finalizers:
        for pod in world.pods:
            if _can_be_stopped(world, pod):
                return Stop(pod)
    return Rest()


def _ended(world: World) -> Decision:
    """A job that has ended needs no pods that run, and is deleted in time.

    The executor whose result was taken ends by itself: stopping it would take its log away from the user.
    """
    completed = moment(world.job.status.completion_time)
    patience: float | None = None
    for pod in world.pods:
        if not _can_be_stopped(world, pod):
            continue
        if world.job.status.phase == Phase.COMPLETED and completed is not None:
            patience = completed + LEAVE_SECONDS - world.now
        if patience is None or patience <= 0:
            return Stop(pod)
    ttl = world.job.spec.ttl_seconds_after_finished
    if ttl is None or completed is None:
        return Rest(patience)
    remaining = completed + ttl - world.now
    if remaining <= 0:
        return DeleteJob()
    return Rest(remaining if patience is None else min(patience, remaining))


def _is_news(world: World, pod: Pod) -> bool:
    """Whether a pod tells of an attempt that this view of the job does not know yet."""
    if attempt_number(pod) <= world.job.status.attempt:
        return False
    created = moment(pod.metadata.creation_timestamp)
    return created is not None and world.now < created + NEWS_SECONDS


def _past_attempt(world: World) -> Pod | None:
    """A pod that still runs for an attempt that is over; a suspended or waiting job has no current one."""
    current = world.job.status.attempt
    # A suspended job first says so: then nothing that its executor still hands in is taken.
    over = not is_open(world.job)
    for pod in world.pods:
        number = attempt_number(pod)
        if (number < current or (over and number == current)) and _can_be_stopped(world, pod):
            return pod
    return None


def _can_be_stopped(world: World, pod: Pod) -> bool:
    metadata = pod.metadata
    return not is_finished(pod) and metadata.deletion_timestamp is None and metadata.uid not in world.stopped
