"""How large a run is: as the goals are judged, about forty minutes; or quick, to see that everything runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """Sizes of a run. `repeats` are interleaved: every contender once, then every contender again."""

    objects: int
    repeats: int
    samples: int
    """Single objects that the latency benchmark sends one after the other, for each repeat."""
    workers: int = 8
    """Keys that a contender may work on at once."""


FULL = Plan(objects=5000, repeats=3, samples=100)
QUICK = Plan(objects=100, repeats=1, samples=20)

MOST_WRITTEN = 1000
"""Objects that a benchmark has written anew for each contender and repeat are no more than this, whatever the
plan: a longer burst tells nothing more."""
