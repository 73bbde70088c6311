"""The life of a QiskitJob as one state machine.

    Pending ─▶ Validating ─▶ Scheduling ─▶ Running ─▶ Completed
       ▲            │             │  ▲         │
       │            └──────┬──────┘  │         ├────▶ Failed
    (suspend)              ▼         │         │
       └───────────────  Retrying ───┘ ◀───────┘      Cancelled (from anywhere)

A phase that begins and ends within one pass is never written, so a watcher may see any step forward that
leaves phases out (Pending to Running on a warm pod). Nothing leaves a terminal phase.
"""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """`status.phase` of a QiskitJob."""

    PENDING = "Pending"
    VALIDATING = "Validating"
    SCHEDULING = "Scheduling"
    RUNNING = "Running"
    RETRYING = "Retrying"
    COMPLETED = "Completed"
    FAILED = "Failed"
    CANCELLED = "Cancelled"


TERMINAL_PHASES = frozenset({Phase.COMPLETED, Phase.FAILED, Phase.CANCELLED})

_ALWAYS = {Phase.FAILED, Phase.CANCELLED}

TRANSITIONS: dict[Phase, frozenset[Phase]] = {
    Phase.PENDING: frozenset({Phase.VALIDATING, Phase.SCHEDULING, Phase.RUNNING, *_ALWAYS}),
    # Back to Pending: suspended before anything was submitted.
    Phase.VALIDATING: frozenset({Phase.PENDING, Phase.SCHEDULING, Phase.RUNNING, Phase.RETRYING, *_ALWAYS}),
    # Straight to Completed: the result was there before the running pod was seen.
    Phase.SCHEDULING: frozenset({Phase.PENDING, Phase.RUNNING, Phase.RETRYING, Phase.COMPLETED, *_ALWAYS}),
    # Back to Pending: suspended, and the attempt's pod deleted.
    Phase.RUNNING: frozenset({Phase.PENDING, Phase.RETRYING, Phase.COMPLETED, *_ALWAYS}),
    # Straight to Completed: the lost attempt had handed in before it was lost. A result is never thrown away.
    Phase.RETRYING: frozenset(
        {Phase.PENDING, Phase.VALIDATING, Phase.SCHEDULING, Phase.RUNNING, Phase.COMPLETED, *_ALWAYS}
    ),
    Phase.COMPLETED: frozenset(),
    Phase.FAILED: frozenset(),
    Phase.CANCELLED: frozenset(),
}


def is_terminal(phase: Phase | str) -> bool:
    """Whether a job of this phase has ended for good."""
    return phase in TERMINAL_PHASES


def may_follow(current: Phase, following: Phase) -> bool:
    """Whether `following` may be written over `current`; staying in a phase that can be left is allowed."""
    return following in TRANSITIONS[current] or (current == following and not is_terminal(current))
