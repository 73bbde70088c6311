"""The states of a container, and the pod's phase that follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

Phase = Literal["Pending", "Running", "Succeeded", "Failed"]


def now() -> str:
    """The time as Kubernetes writes it: UTC, whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Waiting:
    """Not running yet, or again."""

    reason: str
    message: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As in `containerStatuses[].state`."""
        return {"waiting": _present(reason=self.reason, message=self.message)}


@dataclass(frozen=True, slots=True)
class Running:
    """Its process runs."""

    started_at: str

    def to_json(self) -> dict[str, Any]:
        """As in `containerStatuses[].state`."""
        return {"running": {"startedAt": self.started_at}}


@dataclass(frozen=True, slots=True)
class Terminated:
    """Its process ended. An end by signal n is exit code 128+n, as container runtimes report it."""

    exit_code: int
    reason: str
    message: str | None = None
    started_at: str | None = None
    finished_at: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As in `containerStatuses[].state`."""
        return {
            "terminated": _present(
                exitCode=self.exit_code,
                reason=self.reason,
                message=self.message or None,
                startedAt=self.started_at,
                finishedAt=self.finished_at,
            )
        }


State = Waiting | Running | Terminated


def restarts(policy: str, state: Terminated) -> bool:
    """Whether a container that ended so is started again under this `restartPolicy`."""
    return policy == "Always" or (policy == "OnFailure" and state.exit_code != 0)


def phase(init: Sequence[State], main: Sequence[State], *, over: bool) -> Phase:
    """The pod's phase. `over` says that nothing of it will be started again."""
    if over:
        every_one_succeeded = all(isinstance(state, Terminated) and state.exit_code == 0 for state in main)
        return "Succeeded" if every_one_succeeded else "Failed"
    if not all(isinstance(state, Terminated) and state.exit_code == 0 for state in init):
        return "Pending"
    if all(isinstance(state, Waiting) and state.reason != "CrashLoopBackOff" for state in main):
        return "Pending"
    return "Running"


def _present(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}
