"""What a decision is made on: the job, what belongs to it, and what was learnt in this pass. All immutable."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from api.conditions import JobCondition, is_true
from api.phases import Phase
from api.views import CircuitMetadata, QiskitBackend, QiskitJob
from backends import Attempt, Handle, Owner, Slot, State
from backends.aer.names import pod_name
from backends.aer.observation import attempt_number
from kube import PartialObject, Pod


@dataclass(frozen=True, slots=True)
class Examined:
    """The source was read and the validation service looked at it.

    `refusal` is (reason, message) if it found an error. `unknown` is (reason, message) if a limit of the
    service left it without a verdict. `warnings` are for the job's user.
    """

    source_hash: str
    revision: str | None = None
    circuit: CircuitMetadata | None = None
    refusal: tuple[str, str] | None = None
    unknown: tuple[str, str] | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceMissing:
    """There is no source where the spec points; it may yet come."""

    message: str


@dataclass(frozen=True, slots=True)
class SourceRefused:
    """The source cannot be had, now or later."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class ServiceDown:
    """A service that is needed did not answer properly: `reason` is a retried one."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Underway:
    """The examination takes longer; the job's key is queued when it is done."""


Examination = Examined | SourceMissing | SourceRefused | ServiceDown | Underway


@dataclass(frozen=True, slots=True)
class OutputFree:
    """The result can be stored where the spec says."""


@dataclass(frozen=True, slots=True)
class OutputLeaving:
    """The result of an earlier job of this name is there; that job is gone, and the cluster deletes it next."""


@dataclass(frozen=True, slots=True)
class OutputTaken:
    """Something that is not this job's is there."""

    message: str


@dataclass(frozen=True, slots=True)
class OutputAbsent:
    """The volume claim does not exist; it may yet come."""

    message: str


Output = OutputFree | OutputLeaving | OutputTaken | OutputAbsent


@dataclass(frozen=True, slots=True)
class Admitted:
    """The job holds a place. `slot` is a warm pod that was set aside for it."""

    slot: Slot | None = None


@dataclass(frozen=True, slots=True)
class Queued:
    """As many jobs run as may; this one is at `position`, 1 being next."""

    position: int


Place = Admitted | Queued


class World(msgspec.Struct, frozen=True):
    """Everything that a decision may look at. What is None or False from `examination` on was not looked at.

    `pods` are the job's own, of all attempts. `slot_pod` is a warm pod that the job recorded and has not
    claimed; `slot_taken` says that the recorded one is in the cache, and cannot be claimed any more. `handle` is
    what this process submitted at `handle_since`, until it is recorded and seen in the cache.
    `departed` is the current attempt's pod as it was last, where this process has heard of its deletion.
    `obstacle` is why the attempt could not be submitted just now, which time may mend, and the least seconds to wait.
    `state` is what the backend itself says of the attempt's execution.
    `slots_tried` and `stopped` are UIDs of pods that this pass could not claim, and that it has ended.
    """

    now: float
    job: QiskitJob
    backend: QiskitBackend | None = None
    pods: tuple[Pod, ...] = ()
    slot_pod: Pod | None = None
    slot_taken: bool = False
    handle: Handle | None = None
    handle_since: float = 0.0
    departed: Pod | None = None
    result: PartialObject | None = None
    examination: Examination | None = None
    output: Output | None = None
    place: Place | None = None
    refusal: tuple[str, str] | None = None
    obstacle: tuple[str, float | None] | None = None
    slot_gone: bool = False
    slots_tried: frozenset[str] = frozenset()
    stopped: frozenset[str] = frozenset()
    pod_absent: bool = False
    state: State | None = None
    result_absent: bool = False
    backend_absent: bool = False

    @property
    def current_pod(self) -> Pod | None:
        """The pod of the current attempt: the recorded one, or the one of the name that only it may have.

        Labels alone prove nothing: whoever may create pods can write them.
        """
        status = self.job.status
        for pod in self.pods:
            if attempt_number(pod) == status.attempt and (
                pod.metadata.uid == status.job_id or pod.metadata.name == pod_name(attempt_of(self.job))
            ):
                return pod
        return None

    @property
    def unclaimed(self) -> Slot | None:
        """The warm pod that this pass has recorded, whether or not the cache still has it."""
        slot = self.place.slot if isinstance(self.place, Admitted) else None
        return slot if slot is not None and slot.id == self.job.status.job_id else None


def attempt_of(job: QiskitJob, number: int | None = None) -> Attempt:
    """An attempt at a job; the current one unless a number is given."""
    metadata = job.metadata
    owner = Owner(namespace=metadata.namespace, name=metadata.name, uid=metadata.uid)
    return Attempt(owner=owner, number=job.status.attempt if number is None else number)


def is_open(job: QiskitJob) -> bool:
    """Whether an attempt is recorded and not over: the job holds a place of its backend."""
    status = job.status
    return (
        status.attempt > 0
        and (status.phase is Phase.SCHEDULING or status.phase is Phase.RUNNING)
        and job.metadata.deletion_timestamp is None
        and is_true(status.conditions, JobCondition.SCHEDULED)
    )


def is_examined(job: QiskitJob) -> bool:
    """Whether the source was read and looked at, so that an attempt can be made without doing it again."""
    source = job.status.source
    return source is not None and source.hash is not None
