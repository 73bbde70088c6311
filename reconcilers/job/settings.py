"""What the administrator decides about all jobs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class JobSettings:
    """Defaults and limits of the operator. Times in seconds; `max_executors` 0 is no limit.

    `validating_after`: a validation that takes longer gets its phase written; a shorter one is over before
    anybody could read it.
    """

    executor_image: str
    default_max_execution: float = 3600.0
    max_executors: int = 0
    validating_after: float = 0.25
