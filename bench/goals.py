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

    `rival` is what the baseline took, in the metric's unit, on the machine that a time was promised for. On a
    slower machine the promise is kept if the figure is no larger a multiple of the baseline of its own run.
    """

    benchmark: str
    metric: str
    of: Literal["value", "ratio", "p50", "p99"]
    comparison: Literal["<=", ">="]
    limit: float
    since: str
    because: str
    at_objects: int = 0
    rival: float | None = None

    def met(self, figure: float) -> bool:
        """Whether a figure keeps the promise."""
        return figure <= self.limit if self.comparison == "<=" else figure >= self.limit

    def met_as_multiple(self, figure: float, baseline: float | None) -> bool:
        """Whether a time that is over its limit is so because the machine is slower, by what the baseline took."""
        if not baseline or self.multiple is None:
            return False
        return figure / baseline <= self.multiple

    @property
    def multiple(self) -> float | None:
        """The limit as a multiple of the baseline."""
        return self.limit / self.rival if self.rival else None

    def __str__(self) -> str:
        text = f"{self.of} {self.comparison} {self.limit:g}"
        return text if self.multiple is None else f"{text} or {self.multiple:.3g} of rival's"


def load(path: Path = GOALS) -> list[Goal]:
    """All goals."""
    return msgspec.json.decode(path.read_bytes(), type=list[Goal])


def find(goals: list[Goal], benchmark: str, metric: str) -> list[Goal]:
    """The goals of a metric; most have none."""
    return [goal for goal in goals if (goal.benchmark, goal.metric) == (benchmark, metric)]
