"""Counts as horizontal bars, in text."""

from __future__ import annotations

from collections.abc import Mapping

_EIGHTHS = " ▏▎▍▌▋▊▉"
_FULL = "█"


def bar(share: float, width: int) -> str:
    """A bar of `share` (0 to 1) of `width` characters, exact to an eighth of one."""
    eighths = round(share * width * 8)
    return _FULL * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def bars(counts: Mapping[str, int], *, rows: int = 4, width: int = 16) -> str:
    """The most frequent outcomes, one a line: outcome, bar, count. The rest is summed up in a last line."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = ranked if len(ranked) <= rows else ranked[: rows - 1]
    rest = ranked[len(shown) :]
    largest = ranked[0][1] if ranked else 0
    lines = [
        f"{_shortened(outcome)} {bar(count / largest, width):<{width}} {count}" for outcome, count in shown
    ]
    if rest:
        lines.append(f"… {len(rest)} more outcomes with {sum(count for _, count in rest)} shots")
    return "\n".join(lines)


def _shortened(outcome: str) -> str:
    """Long bit strings by their ends: the middle of twenty equal digits tells nothing."""
    return outcome if len(outcome) <= 10 else f"{outcome[:4]}…{outcome[-4:]}"
