"""What is promised, as data: goals.json, each goal with where it comes from and since when."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

GOALS = Path(__file__).parent / "goals.json"


class Goal(msgspec.Struct, frozen=True, kw_only=True):
    """One promise about one metric of one benchmark.

    `of` is what is compared: the value itself, or its ratio to the baseline. `at_objects` is the size that
    the promise is made for; a smaller run shows the figure without judging it. `since` is a date, `because`
    the provenance: what was known when the goal was set.
    """

    benchmark: str
    metric: str
    of: Literal["value", "ratio", "p50", "p99"]
    comparison: Literal["<=", ">="]
    limit: float
    since: str
    because: str
    at_objects: int = 0

    def met(self, figure: float) -> bool:
        """Whether a figure keeps the promise."""
        return figure <= self.limit if self.comparison == "<=" else figure >= self.limit

    def __str__(self) -> str:
        return f"{self.of} {self.comparison} {self.limit:g}"


def load(path: Path = GOALS) -> list[Goal]:
    """All goals."""
    return msgspec.json.decode(path.read_bytes(), type=list[Goal])


def find(goals: list[Goal], benchmark: str, metric: str) -> list[Goal]:
    """The goals of a metric; most have none."""
    return [goal for goal in goals if (goal.benchmark, goal.metric) == (benchmark, metric)]
