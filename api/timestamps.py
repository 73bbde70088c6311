"""Points in time as Kubernetes writes them: RFC 3339, UTC, whole seconds."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache


def format_time(epoch_seconds: float) -> str:
    """Write seconds since 1970 as "2027-01-31T08:00:00Z"; fractions of a second are cut off."""
    return _of_second(int(epoch_seconds))


@lru_cache(maxsize=256)  # what happens in one second is stamped alike, many times
def _of_second(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@lru_cache(maxsize=1024)  # a job's few times are read at every step of it
def parse_time(text: str) -> float:
    """Seconds since 1970 of an RFC 3339 time with a zone; fractions are kept (Lease times have them).

    Raises:
        ValueError: if it is no such time.
    """
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(f"{text!r} does not say its time zone")
    return time.timestamp()
