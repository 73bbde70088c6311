"""How old what the caches know may be: a metric for each cache, and a warning when the server falls silent (G23).

A silent API server is no reason to restart anything: the caches keep answering, informers keep trying, and
nothing here touches liveness.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import structlog

from controller.metrics import Metrics
from informers import STUCK_AFTER
from informers.timing import Clock, Sleep, loop_clock, loop_sleep

log = structlog.get_logger("freshness")

STALE_AFTER = 150.0
"""Seconds of silence that call for a warning: the server sends a bookmark about once a minute."""

LOOK_EVERY = 15.0
"""Seconds between two looks, and so the resolution of the warning."""


class Follower(Protocol):
    """What is watched over of an informer."""

    @property
    def synced(self) -> bool: ...
    @property
    def last_activity(self) -> float: ...
    @property
    def last_step(self) -> float: ...
    def __len__(self) -> int: ...


@dataclass(slots=True)
class _Silence:
    since: float


class Freshness:
    """Watches over the caches by name."""

    def __init__(
        self,
        followers: Mapping[str, Follower],
        metrics: Metrics,
        *,
        clock: Clock = loop_clock,
        sleep: Sleep = loop_sleep,
    ) -> None:
        self._followers = dict(followers)
        self._clock = clock
        self._sleep = sleep
        self._silent: dict[str, _Silence] = {}
        for name, follower in self._followers.items():
            metrics.informer_last_event_age.labels(name).set_function(partial(self._age, follower))
            metrics.informer_objects.labels(name).set_function(follower.__len__)

    async def run(self) -> None:
        """Look now and then, until cancelled. Warns once when a cache goes stale, and once when it is back."""
        while True:
            await self._sleep(LOOK_EVERY)
            for name, follower in self._followers.items():
                self._look(name, follower)

    def unsynced(self) -> str | None:
        """Which caches have not been filled yet, as a readiness check says it."""
        waiting = [name for name, follower in self._followers.items() if not follower.synced]
        return f"not synced yet: {', '.join(waiting)}" if waiting else None

    def stuck(self) -> str | None:
        """Which informers take no steps any more, as a liveness check says it. Silence alone is no such thing."""
        still = [
            name
            for name, follower in self._followers.items()
            if self._clock() - follower.last_step > STUCK_AFTER
        ]
        return f"informers without a step for {STUCK_AFTER:.0f} s: {', '.join(still)}" if still else None

    def _age(self, follower: Follower) -> float:
        return max(0.0, self._clock() - follower.last_activity)

    def _look(self, name: str, follower: Follower) -> None:
        age = self._age(follower)
        if age > STALE_AFTER and name not in self._silent:
            self._silent[name] = _Silence(since=follower.last_activity)
            log.warning(
                "the API server has been silent; the cache may be stale", cache=name, seconds=round(age)
            )
        elif age <= STALE_AFTER and (silence := self._silent.pop(name, None)) is not None:
            gap = follower.last_activity - silence.since
            log.info("the cache follows the API server again", cache=name, silent_seconds=round(gap))
