"""Durations as Kubernetes users write them ("90s", "10m", "1h30m"), to and from seconds.

A subset of Go's notation: the units h, m, s and ms, largest first or in any order, each with an optional
fraction. Signs and units below a millisecond are refused: nothing here is measured that finely.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal

DURATION_PATTERN = r"^([0-9]+(\.[0-9]+)?(h|ms|m|s))+$"
"""What the schema asks of a duration; RE2 and Python read it alike."""

DURATION_LIMIT = 32
"""Longest duration that the schema takes, in characters: keeps the cost of its CEL rules bounded."""

_SECONDS = {"h": Decimal(3600), "m": Decimal(60), "s": Decimal(1), "ms": Decimal("0.001")}
_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(h|ms|m|s)")


def parse_duration(text: str) -> float:
    """Seconds of a duration such as "1h30m".

    Raises:
        ValueError: if it is not one; the message says what one looks like.
    """
    if len(text) > DURATION_LIMIT or not re.match(DURATION_PATTERN, text, re.ASCII) or text.endswith("\n"):
        raise ValueError(f"{text!r} is not a duration; write for example 90s, 10m or 1h30m")
    return float(sum(Decimal(number) * _SECONDS[unit] for number, unit in _PART.findall(text)))


def format_duration(seconds: float) -> str:
    """Write seconds as a duration, rounded to the millisecond: 0 is "0s", 5400 "1h30m", 0.0125 "13ms".

    Below a second the unit is ms; from a second on hours, minutes and seconds, where only seconds may have
    a fraction. Reading it back gives the rounded value.

    Raises: ValueError: if `seconds` is negative or not finite.
    """
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"{seconds} is no length of time")
    milliseconds = int((Decimal(str(seconds)) * 1000).to_integral_value(ROUND_HALF_UP))
    if milliseconds == 0:
        return "0s"
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{hours}h" if hours else ""
    if minutes:
        text += f"{minutes}m"
    if milliseconds:
        whole, fraction = divmod(milliseconds, 1000)
        text += f"{whole}.{fraction:03d}".rstrip("0").rstrip(".") + "s"
    return text
