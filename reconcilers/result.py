"""What a reconcile says to the runner: a small Result, or one of three kinds of error.

Result()                   done; the key's failures are forgotten
Result(after=30)           look again in 30 s; the key's failures are forgotten
Retryable, any Exception   try again under the key's backoff
Conflict                   the world moved under this pass; try again soon, with fresh state
Terminal                   trying again cannot help; logged and counted, not requeued
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of a pass that did what it could.

    `after` is in seconds, `None` for "nothing more until something changes". `priority` replaces the
    priority under which the key is queued next; `None` keeps it.
    """

    after: float | None = None
    priority: int | None = None


DONE = Result()


class Retryable(Exception):
    """Something outside failed for now; the runner backs off. `after` (seconds) sets a minimum wait."""

    def __init__(self, message: str, *, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class Conflict(Exception):
    """A write was refused because the object changed (409); the pass is abandoned, nothing is resent."""


class Terminal(Exception):
    """No further pass can succeed until the object changes."""
