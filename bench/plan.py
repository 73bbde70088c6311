"""How large a run is: small by default, so that trying it costs nobody anything; full for the record."""

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


SMALL = Plan(objects=100, repeats=1, samples=30)
FULL = Plan(objects=5000, repeats=3, samples=300)
