"""Quantities: exact in both directions, and as wide as Kubernetes' own notation."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.quantities import (
    QUANTITY_PATTERN,
    format_cpu,
    format_memory,
    parse_cpu,
    parse_memory,
    parse_quantity,
)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        (1024, 1024),
        ("512Mi", 512 << 20),
        ("4Gi", 4 << 30),
        ("1.5Gi", 3 << 29),
        (".5Ki", 512),
        ("1e3", 1000),
        ("2E", 2 * 10**18),
        ("7Ei", 7 << 60),
        ("1G", 10**9),
        ("1500m", 2),
        ("5.", 5),
    ],
)
def test_memory_reads_as_bytes_rounded_up(text: str | int, size: int) -> None:
    assert parse_memory(text) == size


@pytest.mark.parametrize(
    ("text", "cpus"), [("500m", "0.5"), (2, "2"), ("0.1", "0.1"), ("100n", "0.0000001"), ("1u", "0.000001")]
)
def test_cpus_read_exactly(text: str | int, cpus: str) -> None:
    assert parse_cpu(text) == Decimal(cpus)


@pytest.mark.parametrize(
    "text", ["", "4GB", "-1", "1 Gi", "Gi", ".", "1ki", "1e", "1e999", "0x10", "1\n", "9" * 40]
)
def test_what_is_no_quantity_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write for example 500m, 2, 512Mi or 4Gi"):
        parse_quantity(text)


def test_a_tenth_is_a_tenth() -> None:
    assert parse_quantity("100m") * 10 == 1
    assert parse_memory("0.1Ei") == -(-(1 << 60) // 10)


@given(st.integers(min_value=0, max_value=2**63))
def test_bytes_survive_being_written_and_read(size: int) -> None:
    text = format_memory(size)
    assert re.match(QUANTITY_PATTERN, text)
    assert parse_memory(text) == size


@given(st.integers(min_value=0, max_value=10**9))
def test_millicores_survive_being_written_and_read(millicores: int) -> None:
    text = format_cpu(Decimal(millicores) / 1000)
    assert re.match(QUANTITY_PATTERN, text)
    assert parse_cpu(text) * 1000 == millicores


@pytest.mark.parametrize(("cpus", "text"), [("0.5", "500m"), ("2", "2"), ("0.0001", "1m"), ("1.25", "1250m")])
def test_cpus_are_rounded_up_to_the_millicore(cpus: str, text: str) -> None:
    assert format_cpu(Decimal(cpus)) == text


def test_the_largest_exact_suffix_is_taken() -> None:
    assert [format_memory(size) for size in (0, 1000, 1024, 1536, 3 << 30)] == [
        "0",
        "1000",
        "1Ki",
        "1536",
        "3Gi",
    ]


def test_negative_amounts_are_not_written() -> None:
    with pytest.raises(ValueError, match="no amount of memory"):
        format_memory(-1)
    with pytest.raises(ValueError, match="no number of CPUs"):
        format_cpu(Decimal(-1))
