"""From samples to the few figures that are reported."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one metric over all samples of all repeats. `spread` is that of the repeats' own values."""

    value: float
    spread: tuple[float, float]
    p50: float | None = None
    p90: float | None = None
    p99: float | None = None


def over_repeats(values: Sequence[float]) -> Figures:
    """The median of one value a repeat, with the smallest and the largest."""
    return Figures(percentile(values, 50), (min(values), max(values)))


def over_samples(repeats: Sequence[Sequence[float]]) -> Figures:
    """The distribution of samples of several repeats; value and spread are of the repeats' medians."""
    medians = [percentile(samples, 50) for samples in repeats]
    pooled = [sample for samples in repeats for sample in samples]
    return Figures(
        percentile(medians, 50),
        (min(medians), max(medians)),
        percentile(pooled, 50),
        percentile(pooled, 90),
        percentile(pooled, 99),
    )


def percentile(samples: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile, except that the median of an even number is the mean of the middle two."""
    ordered = sorted(samples)
    if not ordered:
        raise ValueError("no samples")
    middle = len(ordered) // 2
    if percent == 50 and len(ordered) % 2 == 0:
        return (ordered[middle - 1] + ordered[middle]) / 2
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
