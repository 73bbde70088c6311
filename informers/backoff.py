"""How long a reflector waits after a failure: exponential, jittered, forgotten after a calm (G10)."""

from __future__ import annotations

import random

from informers.timing import Clock

FIRST_DELAY = 0.8
"""Seconds before the first retry: long enough for a restarted API server to listen again."""

FACTOR = 2.0

LONGEST_DELAY = 30.0
"""Seconds; the cap before jitter."""

JITTER = 1.0
"""Each delay is stretched by up to this share, so that many clients of one server do not return together."""

CALM_AFTER = 120.0
"""Seconds without a failure after which the next one counts as the first."""


class Backoff:
    """Gives the delay before each next attempt.

    There is no `reset`: a success that is followed at once by another failure must not return to the
    first delay, or a server that accepts and then cuts every watch would be asked without pause.
    """

    def __init__(
        self,
        clock: Clock,
        rng: random.Random,
        *,
        first: float = FIRST_DELAY,
        longest: float = LONGEST_DELAY,
        calm_after: float = CALM_AFTER,
    ) -> None:
        self._clock = clock
        self._rng = rng
        self._first = first
        self._longest = longest
        self._calm_after = calm_after
        self._delay = first
        self._calm_since: float | None = None

    def next_delay(self) -> float:
        """Seconds to wait now; every call counts as one more failure."""
        now = self._clock()
        if self._calm_since is not None and now - self._calm_since > self._calm_after:
            self._delay = self._first
        jittered = self._delay * (1.0 + self._rng.random() * JITTER)
        self._delay = min(self._delay * FACTOR, self._longest)
        self._calm_since = now + jittered
        return jittered
