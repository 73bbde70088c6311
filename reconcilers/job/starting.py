"""From a new job, or one whose last attempt is over, to the next attempt that is recorded. Pure."""

from __future__ import annotations

import msgspec

from api.conditions import JobCondition
from api.phases import Phase
from api.reasons import Reason
from api.views import QiskitJobStatus
from reconcilers.job import statuses
from reconcilers.job.decisions import (
    CheckOutput,
    Decision,
    Event,
    Examine,
    FindBackend,
    Record,
    Rest,
    TakePlace,
)
from reconcilers.job.failures import Ending
from reconcilers.job.moments import condition_since, moment, pending_deadline
from reconcilers.job.outcomes import fail, fail_or_retry, fail_without_backend, phase_event, unless_recorded
from reconcilers.job.sizing import shortage
from reconcilers.job.submissions import backend_name, resources_of
from reconcilers.job.world import (
    Examination,
    Examined,
    OutputAbsent,
    OutputLeaving,
    OutputTaken,
    Queued,
    ServiceDown,
    SourceMissing,
    SourceRefused,
    Underway,
    World,
    is_examined,
)

LOCAL_TYPES = frozenset({"local_simulator"})
"""Types of backend that this release runs."""

BACKEND_GRACE = 5.0
"""Seconds after a job's creation in which its QiskitBackend may still come: both are often applied at once."""

NAMESAKE_GRACE = 5.0
"""Seconds after a job's creation in which the result of an earlier job of its name has time to go. One that stays
longer fails nobody: the new result then goes where a result goes whose place is taken."""

CLOCKS_APART = 60.0
"""Seconds that the clocks of two replicas may differ by."""

FIRST_LOOK, LAST_LOOK = 1.0, 30.0
"""Shortest and longest seconds between two looks for what is missing; in between, half of the time waited."""


def start(world: World) -> Decision:
    """The next step towards an attempt."""
    job = world.job
    if job.status.phase == Phase.RETRYING:
        due = moment(job.status.next_retry_at)
        if due is not None and 0 < due - world.now <= _longest_wait(world):
            return Rest(due - world.now)
    refusal = _refusal_of_spec(world)
    if refusal is not None:
        return refusal
    if not is_examined(job):
        if world.examination is None:
            return Examine()
        if not isinstance(world.examination, Examined):
            return _not_examined(world, world.examination)
        found = world.examination
        if found.refusal is not None:
            status = statuses.refused_by_validation(world, Ending(*found.refusal), found)
            return Record(status, (phase_event(status),))
        # From here on every status that is written says what was found.
        world = msgspec.structs.replace(world, job=statuses.examined(job, found, world.now))
    return _place(world, _notes(world))


def _longest_wait(world: World) -> float:
    """More than any replica's clock would make of the wait for a retry. What is due later than this was written
    before the clock was set back, or by hand: it is due now."""
    job = world.job
    return 2 * statuses.backoff(job, job.status.retry_count) + CLOCKS_APART


def _place(world: World, notes: tuple[Event, ...]) -> Decision:
    """The circuit is known: does it fit, can its result be stored, is there a place for it?"""
    too_large = _too_large(world)
    if too_large is not None:
        return fail(world, Ending(Reason.INSUFFICIENT_RESOURCES, too_large))
    if world.output is None:
        return CheckOutput()
    if isinstance(world.output, OutputTaken):
        return fail(world, Ending(Reason.OUTPUT_CONFLICT, world.output.message))
    if isinstance(world.output, OutputLeaving) and _is_younger(world, NAMESAKE_GRACE):
        return Rest(1.0)
    if isinstance(world.output, OutputAbsent):
        status = statuses.output_absent(world, world.output.message)
        return _wait(
            world, status, JobCondition.SCHEDULED, Ending(Reason.UNSCHEDULABLE, world.output.message)
        )
    if world.place is None:
        return TakePlace()
    if isinstance(world.place, Queued):
        status = statuses.queued(world, world.place.position)
        queued = Event("Normal", Reason.QUEUED, f"{status.message}, number {world.place.position} in line")
        first = world.job.status.reason != Reason.QUEUED
        return unless_recorded(
            world, status, (*notes, queued) if first else notes, Rest(queue_rest(world.place.position))
        )
    status = statuses.attempt_recorded(world, backend_name(world.job), world.place.slot)
    return Record(status, (*notes, phase_event(status)))


def queue_rest(position: int) -> float:
    """Seconds until a waiting job looks where it stands: one for each place before it.

    Whoever is next is woken when a place falls free. With this wait a queue of n jobs costs the API server
    about ln n writes a second for positions, and not n at every job's end.
    """
    return max(5.0, float(position))


def _refusal_of_spec(world: World) -> Decision | None:
    """What is wrong with the spec without looking at the circuit."""
    job, backend = world.job, world.backend
    choice, shots = job.spec.backend, job.spec.execution.shots
    if choice.type not in LOCAL_TYPES:
        return fail(world, Ending(Reason.INVALID_SPEC, f"backend.type {choice.type!r} is not run here"))
    if choice.name is None:
        return None
    if backend is None:
        if not world.backend_absent:
            return FindBackend()
        if _is_younger(world, BACKEND_GRACE):
            return Rest(1.0)
        return fail_without_backend(world)
    most = backend.spec.limits.shots
    if most is not None and shots > most:
        return fail(
            world,
            Ending(
                Reason.INVALID_SPEC, f"execution.shots is {shots}, and {choice.name} takes at most {most}"
            ),
        )
    return None


def _is_younger(world: World, seconds: float) -> bool:
    created = moment(world.job.metadata.creation_timestamp)
    return created is not None and world.now < created + seconds


def _too_large(world: World) -> str | None:
    circuit, backend = world.job.status.circuit_metadata, world.backend
    if circuit is None:
        return None
    most = backend.spec.limits.qubits if backend is not None else None
    if most is not None and circuit.qubits is not None and circuit.qubits > most:
        return f"the circuit has {circuit.qubits} qubits, and {backend_name(world.job)} takes at most {most}"
    return shortage(resources_of(world.job, backend), circuit)


def _not_examined(world: World, found: Examination) -> Decision:
    if isinstance(found, Underway):
        if world.job.status.reason == Reason.SOURCE_NOT_FOUND:
            return Rest()  # one more look for what is missing, and no step ahead
        status = statuses.validating(world)
        return unless_recorded(world, status, (phase_event(status),), Rest())
    if isinstance(found, ServiceDown):
        return fail_or_retry(world, Ending(found.reason, found.message))
    if isinstance(found, SourceRefused):
        return fail(world, Ending(found.reason, found.message))
    assert isinstance(found, SourceMissing)
    status = statuses.source_missing(world, found.message)
    return _wait(world, status, JobCondition.VALIDATED, Ending(Reason.SOURCE_NOT_FOUND, found.message))


def _wait(world: World, status: QiskitJobStatus, type_: JobCondition, cause: Ending) -> Decision:
    """Wait in place and say why, until timeouts.pending; then fail for that reason."""
    since = condition_since(msgspec.structs.replace(world.job, status=status), type_)
    since = world.now if since is None else since
    deadline = pending_deadline(world.job, since)
    if world.now >= deadline:
        pending = world.job.spec.timeouts.pending
        return fail(
            world, Ending(cause.reason, f"{cause.message}, and spec.timeouts.pending, {pending}, is over")
        )
    waited = world.now - since
    look = min(max(waited / 2, FIRST_LOOK), LAST_LOOK, deadline - world.now)
    return unless_recorded(world, status, (Event("Warning", cause.reason, cause.message),), Rest(look))


def _notes(world: World) -> tuple[Event, ...]:
    """What the examination of this pass has to say beside its verdict."""
    found = world.examination
    if not isinstance(found, Examined):
        return ()
    notes = tuple(Event("Warning", "ValidationWarning", text) for text in found.warnings)
    if found.unknown is not None:
        reason, message = found.unknown
        return (*notes, Event("Warning", reason, f"{message}; the job goes on without a verdict"))
    return notes
