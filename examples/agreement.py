"""Whether counts agree with an exact distribution, with a false alarm less than once in a million.

The statistic is the likelihood-ratio form of chi-squared, G = 2 n D, where D is the relative entropy of the
observed frequencies to the exact probabilities. Unlike Pearson's sum, whose tail is a chi-squared one only
where every expected count is large, it has a bound that holds for every n (Agrawal, Finite-sample
concentration of the multinomial in relative entropy, IEEE Trans. Inf. Theory 66, 2020): with k outcomes and
t = G/2 > k - 1,

    P(n D >= t) <= exp(-t) * (e t / (k - 1))^(k - 1)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, log

FALSE_ALARM = 1e-6
"""Largest probability with which right counts may be called wrong."""

IMPOSSIBLE = 1e-12
"""Probabilities below this are rounding errors of an exact zero: such an outcome must not occur at all."""


class Disagreement(Exception):
    """The counts are not those of the circuit; the message says in what."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Counts that were compared: `statistic` is G, `limit` what it may be, `shots` the number of counts."""

    statistic: float
    limit: float
    shots: int

    def __str__(self) -> str:
        if self.limit == 0:
            return f"{self.shots} shots"
        return f"G = {self.statistic:.2f} of at most {self.limit:.1f}, {self.shots} shots"


def compare(counts: Mapping[str, int], probabilities: Mapping[str, float]) -> Agreement:
    """Compare counts with the exact probability of each outcome; what is not named has probability zero.

    Raises:
        Disagreement: if an impossible outcome occurred, or G exceeds its limit.
        ValueError: if the probabilities do not add up to one.
    """
    if abs(sum(probabilities.values()) - 1) > 1e-9:
        raise ValueError(f"the probabilities add up to {sum(probabilities.values())}")
    possible = {outcome: p for outcome, p in probabilities.items() if p > IMPOSSIBLE}
    for outcome, count in counts.items():
        if count and outcome not in possible:
            raise Disagreement(f"{outcome!r} occurred {count} times and cannot occur at all")
    shots = sum(counts.values())
    if shots == 0:
        raise Disagreement("there are no counts")
    statistic = 2 * sum(
        count * log(count / (shots * possible[outcome])) for outcome, count in counts.items() if count
    )
    limit = 2 * _largest(len(possible))
    if statistic > limit:
        raise Disagreement(f"G is {statistic:.1f}, more than {limit:.1f}: {_worst(counts, possible, shots)}")
    return Agreement(max(statistic, 0.0), limit, shots)


def tail_bound(entropy: float, outcomes: int) -> float:
    """The most with which `shots * D` can exceed `entropy`, by the bound above; 1 where it says nothing."""
    freedom = outcomes - 1
    if freedom == 0:
        return 0.0
    if entropy <= freedom:
        return 1.0
    return exp(-entropy + freedom * (1 + log(entropy / freedom)))


def _largest(outcomes: int) -> float:
    """The value of `shots * D` whose tail bound is `FALSE_ALARM`, by bisection; 0 for a single outcome."""
    low, high = float(outcomes - 1), 10.0 * outcomes + 100
    if low == 0:
        return 0.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if tail_bound(middle, outcomes) > FALSE_ALARM else (low, middle)
    return high


def _worst(counts: Mapping[str, int], possible: Mapping[str, float], shots: int) -> str:
    def surprise(outcome: str) -> float:
        expected = shots * possible[outcome]
        return (counts.get(outcome, 0) - expected) ** 2 / expected

    outcome = max(possible, key=surprise)
    return f"{outcome!r} occurred {counts.get(outcome, 0)} times, expected {shots * possible[outcome]:.1f}"
