"""How long a watch may say nothing before its connection counts as dead (G9).

The server closes a watch at the timeout that it was asked for; but a load balancer or a vanished node may
drop the connection without a word, and the kernel notices only after a quarter of an hour.
"""

from __future__ import annotations

import random

SHORTEST_WATCH = 300.0
LONGEST_WATCH = 600.0
"""Seconds that the server is asked to keep a watch, drawn anew each time so that not all end together."""

MARGIN = 5.0
"""Seconds past the server's own timeout that it gets for closing."""

BOOKMARK_SILENCE = 150.0
"""Seconds of silence that end a stream which has brought a bookmark: one is due every minute. A stream
without bookmarks may be silent until its timeout: they are never relied on (G5)."""

INITIAL_SILENCE = 30.0
"""Seconds of silence that end the initial events: a server that has them sends them without a pause."""


def draw_timeout(rng: random.Random) -> int:
    """Seconds for `timeoutSeconds` of the next watch."""
    return int(rng.uniform(SHORTEST_WATCH, LONGEST_WATCH))


class Silence:
    """The deadline for the next line of one stream, in seconds of the loop's clock."""

    def __init__(self, opened: float, timeout: float) -> None:
        self._last = opened + timeout + MARGIN
        self._bookmarked = False

    def bookmark_seen(self) -> None:
        """This stream has bookmarks."""
        self._bookmarked = True

    def deadline(self, now: float, initial: bool) -> float:
        """By when another line must have come, if one came now; `initial` during the initial events."""
        if initial:
            return min(self._last, now + INITIAL_SILENCE)
        if self._bookmarked:
            return min(self._last, now + BOOKMARK_SILENCE)
        return self._last
