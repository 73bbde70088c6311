"""When things are due: durations and timestamps of a job, as seconds since 1970.

The schema has checked what is read here, but a decision must not fail on an object that an older schema let
through: what cannot be read counts as not given.
"""

from __future__ import annotations

import math

from api.conditions import JobCondition, find_condition
from api.durations import parse_duration
from api.timestamps import format_time, parse_time
from api.views import QiskitJob

DEFAULT_PENDING = 600.0

CALENDAR_END = parse_time("9999-12-31T23:59:59Z")
"""The last second that a timestamp can name."""

EXECUTION_GRACE = 30.0
"""Seconds that an executor gets beyond maxExecutionTime to say itself that the time is over: its word has
more to tell than the deletion of its pod."""


def seconds(text: str | None, default: float) -> float:
    """Seconds of a duration; `default` if there is none."""
    if text is None:
        return default
    try:
        return parse_duration(text)
    except ValueError:
        return default


def moment(text: str | None) -> float | None:
    """Seconds since 1970 of a timestamp."""
    if not text:
        return None
    try:
        return parse_time(text)
    except ValueError:
        return None


def stamp(time: float) -> str:
    """A timestamp that is not before `time`: whole seconds, rounded up, so that nothing is due too early.

    A duration of the schema may be longer than the calendar: what is due after its end is due at its end.
    """
    return format_time(math.ceil(min(time, CALENDAR_END)))


def total_deadline(job: QiskitJob) -> float | None:
    """When `timeouts.total` is over."""
    created = moment(job.metadata.creation_timestamp)
    if created is None or job.spec.timeouts.total is None:
        return None
    return created + seconds(job.spec.timeouts.total, math.inf)


def pending_deadline(job: QiskitJob, since: float) -> float:
    """When a wait in place that began at `since` has lasted for `timeouts.pending`."""
    return since + seconds(job.spec.timeouts.pending, DEFAULT_PENDING)


def max_execution(job: QiskitJob, default: float) -> float:
    """Seconds that one attempt may take."""
    return seconds(job.spec.execution.max_execution_time, default)


def condition_since(job: QiskitJob, type_: JobCondition) -> float | None:
    """When a condition became what it is."""
    condition = find_condition(job.status.conditions, type_)
    return moment(condition.last_transition_time) if condition is not None else None
