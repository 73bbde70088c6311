"""How long to leave a pool alone whose pods break: each one that breaks in a row doubles the wait."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

FIRST_WAIT = 5.0
LONGEST_WAIT = 300.0
"""Seconds."""


@dataclass(slots=True)
class Cooling:
    """The memory of one pool's broken pods. Times in seconds of any one clock."""

    failures: int = 0
    until: float = 0.0
    _seen: set[str] = field(default_factory=set)

    def observe(self, broken: Iterable[str], ready: int, now: float) -> None:
        """Take note of the UIDs of pods that have broken; a pod that became ready ends the series."""
        there = set(broken)
        new, self._seen = there - self._seen, there
        if new:
            self.fail(now)
        elif ready:
            self.failures = 0

    def fail(self, now: float) -> None:
        """Something went wrong: wait before starting another pod."""
        wait = min(FIRST_WAIT * 2.0 ** min(self.failures, 16), LONGEST_WAIT)
        self.failures += 1
        self.until = now + wait

    def remaining(self, now: float) -> float:
        """Seconds still to wait."""
        return max(self.until - now, 0.0)
