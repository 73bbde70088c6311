"""Conditions of QiskitJob and QiskitBackend, and the one way to change them."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Literal

import msgspec

ConditionStatus = Literal["True", "False", "Unknown"]

MESSAGE_LIMIT = 1024
"""Characters of a condition's message that are kept; the job's own `status.message` says it in full."""


class JobCondition(StrEnum):
    """Types of a QiskitJob's conditions. `kubectl wait --for=condition=Complete` waits for one."""

    VALIDATED = "Validated"
    SCHEDULED = "Scheduled"
    SUBMITTED = "Submitted"
    RESULTS_STORED = "ResultsStored"
    COMPLETE = "Complete"
    FAILED = "Failed"
    SUSPENDED = "Suspended"


class BackendCondition(StrEnum):
    """Types of a QiskitBackend's conditions."""

    READY = "Ready"
    WARM_POOL_FILLED = "WarmPoolFilled"


class Condition(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=False, gc=False):
    """One observation: `status` says whether `type` holds, `reason` (CamelCase) and `message` say why.

    `last_transition_time` is when `status` last changed, not when it was last looked at.
    """

    type: str
    status: ConditionStatus
    reason: str
    message: str = ""
    last_transition_time: str = ""
    observed_generation: int = 0


def find_condition(conditions: Sequence[Condition], type_: str) -> Condition | None:
    """The condition of a type, `None` if it was never observed."""
    for condition in conditions:
        if condition.type == type_:
            return condition
    return None


def is_true(conditions: Sequence[Condition], type_: str) -> bool:
    """Whether a condition was observed to hold."""
    found = find_condition(conditions, type_)
    return found is not None and found.status == "True"


def set_condition(
    conditions: tuple[Condition, ...],
    type_: str,
    status: ConditionStatus,
    reason: str,
    message: str,
    now: str,
    observed_generation: int,
) -> tuple[Condition, ...]:
    """Return `conditions` with one of them set; the very same tuple if that changes nothing.

    `now` (RFC 3339) becomes the transition time only if `status` changed: what merely says more about the
    same state is no transition. Order is kept and a new type goes last, so that a patch stays small to
    read.
    """
    old = find_condition(conditions, type_)
    new = Condition(
        type=type_,
        status=status,
        reason=reason,
        message=message if len(message) <= MESSAGE_LIMIT else message[: MESSAGE_LIMIT - 1] + "…",
        last_transition_time=old.last_transition_time if old and old.status == status else now,
        observed_generation=observed_generation,
    )
    if new == old:
        return conditions
    if old is None:
        return (*conditions, new)
    return tuple(new if condition.type == type_ else condition for condition in conditions)
