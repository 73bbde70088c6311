"""Rows, as a table for people and as results/NAME.json for the record."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from bench.figures import Figures
from bench.goals import Goal, find

RESULTS = Path(__file__).parent / "results"


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One figure. `ratio` is value / baseline_value; `met` is absent where there is no goal for this size, and
    `as_multiple` says that a time keeps its promise beside the baseline only: the machine is slower."""

    metric: str
    unit: str
    value: float
    spread: tuple[float, float]
    p50: float | None = None
    p90: float | None = None
    p99: float | None = None
    baseline: str | None = None
    baseline_value: float | None = None
    ratio: float | None = None
    goal: str | None = None
    met: bool | None = None
    as_multiple: bool = False


class Report:
    """Collects the rows of one benchmark."""

    def __init__(
        self, name: str, objects: int, goals: list[Goal], machine: dict[str, Any], **about: Any
    ) -> None:
        self.name = name
        self.objects = objects
        self.machine = machine
        self.about = about
        self.rows: list[Row] = []
        self._goals = goals

    def add(
        self,
        metric: str,
        unit: str,
        figures: Figures,
        baseline: tuple[str, Figures] | None = None,
    ) -> None:
        """Add a row, compared with `baseline` (whose it is, its figures) and with the goal if there is one."""
        ratio = figures.value / baseline[1].value if baseline is not None and baseline[1].value else None
        goals = find(self._goals, self.name, metric)
        judged = {"ratio": ratio, **_by_name(figures)}
        beside = _by_name(baseline[1]) if baseline is not None else {}
        verdicts = [
            (goal.met(figure), goal.met_as_multiple(figure, beside.get(goal.of)))
            for goal in goals
            if (figure := judged[goal.of]) is not None and self.objects >= goal.at_objects
        ]
        met = all(map(any, verdicts))
        self.rows.append(
            Row(
                metric=metric,
                unit=unit,
                value=_round(figures.value),
                spread=(_round(figures.spread[0]), _round(figures.spread[1])),
                p50=_maybe(figures.p50),
                p90=_maybe(figures.p90),
                p99=_maybe(figures.p99),
                baseline=baseline[0] if baseline else None,
                baseline_value=_round(baseline[1].value) if baseline else None,
                ratio=_maybe(ratio),
                goal=", ".join(map(str, goals)) or None,
                met=met if verdicts else None,
                as_multiple=met and not all(absolute for absolute, _ in verdicts),
            )
        )

    def write(self, folder: Path = RESULTS) -> Path:
        """Write NAME.json and return its path."""
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self.name}.json"
        document = {
            "name": self.name,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": self.machine,
            "objects": self.objects,
            **self.about,
            "rows": self.rows,
        }
        path.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n")
        return path

    def show(self, console: Console) -> None:
        """Print the rows as a table."""
        table = Table(title=f"{self.name} ({self.objects} objects)", title_justify="left")
        for heading in ("metric", "unit"):
            table.add_column(heading)
        for heading in ("value", "spread", "p50", "p90", "p99", "baseline", "ratio", "goal", "met"):
            table.add_column(heading, justify="right")
        for row in self.rows:
            table.add_row(
                row.metric,
                row.unit,
                f"{row.value:g}",
                f"{row.spread[0]:g}-{row.spread[1]:g}",
                *(_text(value) for value in (row.p50, row.p90, row.p99)),
                f"{row.baseline} {row.baseline_value:g}" if row.baseline else "",
                _text(row.ratio),
                row.goal or "",
                {True: "as multiple" if row.as_multiple else "yes", False: "NO", None: ""}[row.met],
            )
        console.print(table)

    @property
    def broken(self) -> list[str]:
        """Metrics whose goal is not met."""
        return [row.metric for row in self.rows if row.met is False]


def _by_name(figures: Figures) -> dict[str, float | None]:
    return {"value": figures.value, "p50": figures.p50, "p99": figures.p99}


def _round(value: float) -> float:
    return float(f"{value:.4g}")


def _maybe(value: float | None) -> float | None:
    return None if value is None else _round(value)


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
