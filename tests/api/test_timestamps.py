"""Times as Kubernetes writes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.timestamps import format_time, parse_time


def test_a_time_is_written_in_utc_to_the_second() -> None:
    assert format_time(1_800_000_000.9) == "2027-01-15T08:00:00Z"


def test_zones_and_fractions_are_understood() -> None:
    assert parse_time("2027-01-15T10:00:00.250000+02:00") == 1_800_000_000.25


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        parse_time("2027-01-15T08:00:00")


@given(st.integers(min_value=0, max_value=2**34))
def test_seconds_survive(seconds: int) -> None:
    assert parse_time(format_time(seconds)) == seconds
