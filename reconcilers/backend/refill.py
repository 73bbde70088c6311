"""When a pool that has given pods away starts new ones."""

from __future__ import annotations

from dataclasses import dataclass

REFILL_AFTER = 0.5
"""Seconds. A pod that starts keeps a core busy with imports for about as long as a small job takes in all, and the
job that took its predecessor has just begun, often on the same node."""


@dataclass(slots=True)
class Refill:
    """Since when one pool is short of pods, but not without any. Times in seconds of any one clock."""

    since: float | None = None

    def wait(self, *, missing: bool, ready: int, now: float) -> float:
        """Seconds for which missing pods are not started yet. A pool without a ready one does not wait: the next job
        would have to."""
        if not missing or not ready:
            self.since = None
        elif self.since is None:
            self.since = now
        return self.patience(now)

    def patience(self, now: float) -> float:
        """Seconds that are left of the wait."""
        return 0.0 if self.since is None else max(self.since + REFILL_AFTER - now, 0.0)
