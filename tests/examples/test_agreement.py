"""The statistical test itself: how often it cries wolf, and what it notices."""

from __future__ import annotations

from math import comb

import pytest
from scipy.stats import multinomial

from examples.agreement import FALSE_ALARM, Disagreement, compare, tail_bound


def is_alarm(counts: dict[str, int], probabilities: dict[str, float]) -> bool:
    try:
        compare(counts, probabilities)
    except Disagreement:
        return True
    return False


@pytest.mark.parametrize("probability", [0.5, 0.1, 1 / 128, 1e-3])
@pytest.mark.parametrize("shots", [1, 20, 1024])
def test_two_outcomes_raise_a_false_alarm_less_than_once_in_a_million(shots: int, probability: float) -> None:
    exact = {"0": 1 - probability, "1": probability}
    alarm = sum(
        comb(shots, ones) * probability**ones * (1 - probability) ** (shots - ones)
        for ones in range(shots + 1)
        if is_alarm({"0": shots - ones, "1": ones}, exact)
    )
    assert alarm <= FALSE_ALARM


def test_three_outcomes_raise_a_false_alarm_less_than_once_in_a_million() -> None:
    exact, shots = {"a": 0.9, "b": 0.09, "c": 0.01}, 60
    alarm = sum(
        multinomial.pmf([a, b, shots - a - b], shots, list(exact.values()))
        for a in range(shots + 1)
        for b in range(shots + 1 - a)
        if is_alarm({"a": a, "b": b, "c": shots - a - b}, exact)
    )
    assert alarm <= FALSE_ALARM


def test_a_fair_coin_passes_and_a_loaded_one_does_not() -> None:
    fair = {"0": 0.5, "1": 0.5}
    compare({"0": 540, "1": 484}, fair)
    with pytest.raises(Disagreement, match="'0' occurred 640 times, expected 512"):
        compare({"0": 640, "1": 384}, fair)


def test_one_impossible_outcome_is_enough() -> None:
    with pytest.raises(Disagreement, match="'01' occurred 1 times and cannot occur"):
        compare({"00": 500, "11": 500, "01": 1}, {"00": 0.5, "11": 0.5})
    with pytest.raises(Disagreement, match="cannot occur"):
        compare({"1": 10, "0": 1}, {"1": 1.0, "0": 3.7e-33})


def test_a_missing_outcome_is_noticed() -> None:
    with pytest.raises(Disagreement, match="more than"):
        compare({"00": 1024}, {"00": 0.5, "11": 0.5})


def test_a_certain_outcome_needs_no_statistics() -> None:
    assert str(compare({"101": 7}, {"101": 1.0})) == "7 shots"


def test_no_counts_agree_with_nothing() -> None:
    with pytest.raises(Disagreement, match="no counts"):
        compare({}, {"0": 1.0})


def test_probabilities_must_add_up() -> None:
    with pytest.raises(ValueError, match=r"add up to 0\.9"):
        compare({"0": 1}, {"0": 0.9})


def test_the_bound_says_nothing_below_its_range_and_falls_above() -> None:
    assert tail_bound(2.0, 3) == 1.0
    assert tail_bound(10.0, 3) > tail_bound(20.0, 3) > tail_bound(40.0, 3) > 0
