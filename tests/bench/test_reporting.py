"""Figures, goals and reports: what the record says, and when it says that a promise is broken."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from bench import goals, page
from bench.figures import Figures, over_repeats, over_samples, percentile
from bench.goals import Goal
from bench.report import Report


@pytest.mark.parametrize(
    ("samples", "percent", "value"),
    [
        ([3, 1, 2], 50, 2),
        ([4, 1, 2, 3], 50, 2.5),
        (range(1, 101), 90, 90),
        (range(1, 101), 99, 99),
        ([7], 99, 7),
    ],
)
def test_percentiles_are_of_the_samples_themselves(
    samples: list[float], percent: float, value: float
) -> None:
    assert percentile(list(samples), percent) == value


def test_no_samples_are_no_figure() -> None:
    with pytest.raises(ValueError, match="no samples"):
        percentile([], 50)


def test_the_value_is_the_median_of_the_repeats_and_the_spread_their_range() -> None:
    assert over_repeats([3.0, 1.0, 2.0]) == Figures(2.0, (1.0, 3.0))
    found = over_samples([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]])
    assert (found.value, found.spread) == (11.0, (2.0, 20.0))
    assert found.p99 == 30.0


def a_goal(**fields: object) -> Goal:
    defaults = {
        "benchmark": "b",
        "metric": "rate",
        "of": "ratio",
        "comparison": ">=",
        "limit": 0.9,
        "since": "2026-01-01",
        "because": "a reason",
    }
    return msgspec.convert(defaults | fields, Goal)


def report(promised: list[Goal], objects: int = 1000) -> Report:
    return Report("b", objects, promised, {"cpu": "x"}, repeats=3)


@pytest.mark.parametrize(("value", "met"), [(95.0, True), (90.0, True), (89.0, False)])
def test_a_ratio_is_judged_against_its_goal(value: float, met: bool) -> None:
    one = report([a_goal()])
    one.add("rate", "1/s", over_repeats([value]), ("bare", over_repeats([100.0])))
    assert one.rows[0].ratio == value / 100
    assert one.rows[0].met is met
    assert one.broken == ([] if met else ["rate"])


def test_a_run_below_the_goals_size_shows_the_figure_and_judges_nothing() -> None:
    one = report([a_goal(at_objects=1000)], objects=999)
    one.add("rate", "1/s", over_repeats([1.0]), ("bare", over_repeats([100.0])))
    assert one.rows[0].met is None
    assert one.rows[0].goal == "ratio >= 0.9"
    assert one.broken == []


def test_several_goals_of_a_metric_must_all_be_met() -> None:
    one = report([a_goal(of="p50", comparison="<=", limit=15), a_goal(of="p99", comparison="<=", limit=50)])
    one.add("rate", "ms", over_samples([[10.0] * 90 + [60.0] * 10]))
    assert one.rows[0].goal == "p50 <= 15, p99 <= 50"
    assert one.rows[0].met is False


@pytest.mark.parametrize(
    ("took", "rival_took", "met", "as_multiple"),
    [
        pytest.param(15.0, 20.0, True, False, id="kept as it stands"),
        pytest.param(15.0, 5.0, True, False, id="kept, though the rival was quicker"),
        pytest.param(30.0, 20.0, True, True, id="a machine of half the speed"),
        pytest.param(31.0, 20.0, False, False, id="slower than the machine explains"),
        pytest.param(31.0, 0.0, False, False, id="a rival that took no time explains nothing"),
    ],
)
def test_a_time_is_judged_beside_what_the_rival_takes_on_the_same_machine(
    took: float, rival_took: float, met: bool, as_multiple: bool
) -> None:
    one = report([a_goal(of="p50", comparison="<=", limit=15, rival=10)])
    one.add("rate", "ms", over_samples([[took]]), ("bare", over_samples([[rival_took]])))
    assert (one.rows[0].met, one.rows[0].as_multiple) == (met, as_multiple)
    assert one.rows[0].goal == "p50 <= 15 or 1.5 of rival's"


def test_a_goal_without_a_rival_is_not_excused_by_one() -> None:
    one = report([a_goal(of="p50", comparison="<=", limit=15)])
    one.add("rate", "ms", over_samples([[16.0]]), ("bare", over_samples([[100.0]])))
    assert one.rows[0].met is False


def test_the_record_has_all_that_the_table_shows(tmp_path: Path) -> None:
    one = report([a_goal()])
    one.add("rate", "1/s", over_repeats([99.0, 98.0, 97.0]), ("bare", over_repeats([100.0])))
    document = json.loads(one.write(tmp_path).read_text())
    assert (document["name"], document["objects"], document["repeats"]) == ("b", 1000, 3)
    assert document["machine"] == {"cpu": "x"}
    (row,) = document["rows"]
    assert row == {
        "metric": "rate",
        "unit": "1/s",
        "value": 98,
        "spread": [97, 99],
        "baseline": "bare",
        "baseline_value": 100,
        "ratio": 0.98,
        "goal": "ratio >= 0.9",
        "met": True,
    }
    console = Console(width=200, record=True)
    one.show(console)
    assert "97-99" in console.export_text()


def test_every_goal_on_record_says_since_when_and_why() -> None:
    for goal in goals.load():
        assert goal.since
        assert len(goal.because) > 20


def test_the_page_of_figures_says_what_the_results_say() -> None:
    assert page.PAGE.read_text() == page.render(), "write it anew with: python -m bench.page"
