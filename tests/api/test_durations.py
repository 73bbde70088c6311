"""Durations: what is taken, what is refused, and that writing and reading are inverse."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.durations import DURATION_LIMIT, DURATION_PATTERN, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("10m", 600),
        ("1h30m", 5400),
        ("1.5h", 5400),
        ("250ms", 0.25),
        ("0s", 0),
        ("1h0.5s1ms", 3600.501),
    ],
)
def test_a_duration_reads_as_go_reads_it(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "10", "m", "10 m", "-1s", "+1s", "1d", "1S", "1us", ".5h", "1h\n", "٣s", "1" * 40 + "s"]
)
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write for example 90s, 10m or 1h30m"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.0004, "0s"),
        (0.0125, "13ms"),
        (1, "1s"),
        (59.9996, "1m"),
        (90, "1m30s"),
        (3600, "1h"),
        (3661.5, "1h1m1.5s"),
    ],
)
def test_seconds_are_written_with_the_units_people_use(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
def test_what_is_no_length_of_time_is_not_written(seconds: float) -> None:
    with pytest.raises(ValueError, match="no length of time"):
        format_duration(seconds)


@given(st.integers(min_value=0, max_value=10**12))
def test_writing_and_reading_gives_the_same_milliseconds(milliseconds: int) -> None:
    text = format_duration(milliseconds / 1000)
    assert re.match(DURATION_PATTERN, text)
    assert len(text) <= DURATION_LIMIT
    assert parse_duration(text) == milliseconds / 1000


@given(
    st.lists(st.tuples(st.integers(0, 999), st.sampled_from(["h", "m", "s", "ms"])), min_size=1, max_size=6)
)
def test_the_parts_of_a_duration_add_up(parts: list[tuple[int, str]]) -> None:
    factor = {"h": 3600_000, "m": 60_000, "s": 1000, "ms": 1}
    text = "".join(f"{number}{unit}" for number, unit in parts)
    assert parse_duration(text) == sum(number * factor[unit] for number, unit in parts) / 1000
