"""Resource quantities ("500m", "2Gi", "1.5") to and from CPUs and bytes, exactly.

Decimal throughout: a float turns "0.1" into something that is not a tenth, and 1Ei into something else.
"""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache

QUANTITY_PATTERN = r"^([0-9]+(\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,2})?$"
"""What the schema asks of a quantity: Kubernetes' own notation without a sign."""

QUANTITY_LIMIT = 32
"""Longest quantity that the schema takes, in characters."""

_QUANTITY = re.compile(
    r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]{1,2})?", re.ASCII
)
_BINARY = {f"{prefix}i": Decimal(1024**power) for power, prefix in enumerate("KMGTPE", start=1)}
_DECIMAL = {
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "E": Decimal(10**18),
}
_FACTORS = _BINARY | _DECIMAL


@lru_cache(maxsize=1024, typed=True)  # every pass of a job reads the same few
def parse_quantity(text: str | int) -> Decimal:
    """The number that a quantity stands for.

    Raises:
        ValueError: if it is not a quantity; the message says what one looks like.
    """
    match = _QUANTITY.fullmatch(str(text)) if len(str(text)) <= QUANTITY_LIMIT else None
    if match is None:
        raise ValueError(f"{text!r} is not a quantity; write for example 500m, 2, 512Mi or 4Gi")
    number, suffix = match.groups()
    if suffix is None:
        return Decimal(number)
    if suffix in _FACTORS:
        return Decimal(number) * _FACTORS[suffix]
    return Decimal(number).scaleb(int(suffix[1:]))


def parse_cpu(text: str | int) -> Decimal:
    """CPUs of a quantity: "500m" is half a CPU.

    Raises:
        ValueError: if it is not a quantity.
    """
    return parse_quantity(text)


def parse_memory(text: str | int) -> int:
    """Bytes of a quantity; a fraction of a byte counts as a whole one, as Kubernetes rounds.

    Raises:
        ValueError: if it is not a quantity.
    """
    return int(parse_quantity(text).to_integral_value(ROUND_CEILING))


@lru_cache(maxsize=1024)  # most pods ask for the same few sizes
def format_memory(size: int) -> str:
    """Write bytes with the largest binary suffix that keeps them exact: 536870912 is "512Mi", 1000 is
    "1000".

    Raises: ValueError: if `size` is negative.
    """
    if size < 0:
        raise ValueError(f"{size} bytes is no amount of memory")
    for suffix in reversed(_BINARY):
        factor = int(_BINARY[suffix])
        if size and size % factor == 0:
            return f"{size // factor}{suffix}"
    return str(size)


def format_cpu(cpus: Decimal) -> str:
    """Write CPUs in whole CPUs or millicores, rounded up to the millicore: 0.5 is "500m", 2 is "2".

    Raises:
        ValueError: if `cpus` is negative.
    """
    if cpus < 0:
        raise ValueError(f"{cpus} is no number of CPUs")
    millicores = int((cpus * 1000).to_integral_value(ROUND_CEILING))
    return str(millicores // 1000) if millicores % 1000 == 0 else f"{millicores}m"
