"""Counts as bars."""

from __future__ import annotations

import pytest

from localcluster.histogram import bar, bars


@pytest.mark.parametrize(("share", "drawn"), [(1.0, "████"), (0.5, "██"), (0.53125, "██▏"), (0.0, "")])
def test_a_bar_is_exact_to_an_eighth(share: float, drawn: str) -> None:
    assert bar(share, 4) == drawn


def test_the_most_frequent_come_first_and_the_rest_is_summed_up() -> None:
    text = bars({"00": 40, "01": 1, "10": 2, "11": 20}, rows=3, width=4)
    assert text.splitlines() == ["00 ████ 40", "11 ██   20", "… 2 more outcomes with 3 shots"]


def test_what_fits_is_shown_whole() -> None:
    assert bars({"0": 1, "1": 1}, rows=2, width=2).splitlines() == ["0 ██ 1", "1 ██ 1"]


def test_long_outcomes_are_shown_by_their_ends() -> None:
    assert bars({"0" * 19 + "1": 5}, width=1) == "0000…0001 █ 5"


def test_no_counts_are_no_bars() -> None:
    assert bars({}) == ""
