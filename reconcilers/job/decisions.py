"""What a decision can be: one step each, carried out before the next is decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from api.views import QiskitJobStatus
from kube import Pod


@dataclass(frozen=True, slots=True)
class Event:
    """What `kubectl describe` is to say of a step."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing to do until something changes, or until `after` seconds have passed."""

    after: float | None = None


@dataclass(frozen=True, slots=True)
class TryLater:
    """Give this pass up, for something outside failed that time may mend. The queue's backoff says when the next one
    is, and that is not before `after` seconds have passed."""

    message: str
    after: float | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """Write this status, then say so. Carries the resource version that was decided on."""

    status: QiskitJobStatus
    events: tuple[Event, ...] = ()


@dataclass(frozen=True, slots=True)
class Examine:
    """Read the source and have it validated."""


@dataclass(frozen=True, slots=True)
class CheckOutput:
    """Look whether the result can be stored where the spec says."""


@dataclass(frozen=True, slots=True)
class TakePlace:
    """Ask for a place to run in, and for a warm pod."""


@dataclass(frozen=True, slots=True)
class Submit:
    """Start the recorded attempt; starting it again changes nothing."""


@dataclass(frozen=True, slots=True)
class FindExecution:
    """Ask the backend itself for the attempt's execution: the cache may be behind."""


@dataclass(frozen=True, slots=True)
class FindState:
    """Ask the backend itself how far the attempt's execution is: the cache may be behind."""


@dataclass(frozen=True, slots=True)
class FindResult:
    """Ask the API server itself for a result: the cache may be behind."""


@dataclass(frozen=True, slots=True)
class FindBackend:
    """Ask the API server itself for the QiskitBackend: the cache may be behind."""


@dataclass(frozen=True, slots=True)
class Stop:
    """End a pod that no attempt needs any more."""

    pod: Pod


@dataclass(frozen=True, slots=True)
class DeleteJob:
    """Delete the job itself: its time to live is over."""


Effect = (
    TryLater
    | Examine
    | CheckOutput
    | TakePlace
    | Submit
    | FindExecution
    | FindState
    | FindResult
    | FindBackend
    | Stop
    | DeleteJob
)
"""What a step asks or does without a word in the status."""

Decision = Rest | Record | Effect
