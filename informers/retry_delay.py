"""How long a key waits after a failed pass: its own backoff, and an optional shared bucket (G27)."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

from informers.timing import Clock

K = TypeVar("K", bound=Hashable)

FIRST_RETRY = 0.005
"""Seconds before a key's first retry: a conflict is usually over by then."""

LONGEST_RETRY = 1000.0
"""Seconds; a key that always fails is still looked at a few times an hour."""

MOST_DOUBLINGS = 64
"""More doublings change nothing; without this bound a key that failed 1,100 times overflows a float."""

BUCKET_RATE = 10.0
BUCKET_BURST = 100


class TokenBucket:
    """Spreads retries of all keys together: `rate` a second, after a burst.

    Applies to retries only, so that an outage that fails every key cannot turn into a storm when it ends
    while new work stays immediate.
    """

    def __init__(self, clock: Clock, *, rate: float = BUCKET_RATE, burst: int = BUCKET_BURST) -> None:
        self._clock = clock
        self._rate = rate
        self._burst = burst
        self._tokens = float(burst)
        self._at = clock()

    def reserve(self) -> float:
        """Takes one token and returns the seconds until it may be used."""
        now = self._clock()
        self._tokens = min(float(self._burst), self._tokens + (now - self._at) * self._rate)
        self._at = now
        self._tokens -= 1.0
        return max(0.0, -self._tokens / self._rate)


class RetryDelay(Generic[K]):
    """Counts failures by key and gives the delay before each retry, in seconds."""

    def __init__(
        self,
        *,
        first: float = FIRST_RETRY,
        longest: float = LONGEST_RETRY,
        bucket: TokenBucket | None = None,
    ) -> None:
        self._first = first
        self._longest = longest
        self._bucket = bucket
        self._failures: dict[K, int] = {}

    def next_delay(self, key: K) -> float:
        """Counts one more failure of the key; the wait doubles with each, up to the longest."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        delay = min(self._first * 2.0 ** min(failures, MOST_DOUBLINGS), self._longest)
        return max(delay, self._bucket.reserve()) if self._bucket else delay

    def failures(self, key: K) -> int:
        """Failures since the key was last forgotten."""
        return self._failures.get(key, 0)

    def forget(self, key: K) -> None:
        """Ends the key's series of failures; otherwise the map grows with every key that failed."""
        self._failures.pop(key, None)

    def __len__(self) -> int:
        return len(self._failures)
