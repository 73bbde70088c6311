"""What a fault proxy does wrong, and when: a list of rules that a test fills and empties as it goes.

    faults = Faults(seed=7)
    faults.add(Answer(429, retry_after=2), when=Matching(method="POST", path="/configmaps"), times=1)
    faults.add(Drop(), probability=0.2)                            # every fifth watch event is lost
    faults.add(Delay(90), when=Matching(event="BOOKMARK"))         # bookmarks come late
    faults.clear()

Rules are asked in the order in which they were added; the first that matches and whose turn it is acts. `times`
bounds how often a rule acts; `probability` is drawn from the seeded generator, so that a run can be repeated.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Matching:
    """What a rule is about; what is None matches everything.

    `path` is a part of the path; `event` the type of a watch event (ADDED, BOOKMARK, …), for faults in watches.
    """

    method: str | None = None
    path: str | None = None
    watch: bool | None = None
    event: str | None = None

    def fits(self, method: str, path: str, *, watch: bool, event: str | None = None) -> bool:
        """Whether a request, or an event of a watch, is one of these."""
        return (
            (self.method is None or self.method == method)
            and (self.path is None or self.path in path)
            and (self.watch is None or self.watch == watch)
            and (self.event is None or self.event == event)
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer in the server's place. `retry_after` (s) as header; `html` instead of a Status."""

    status: int
    reason: str = ""
    retry_after: int | None = None
    html: bool = False


@dataclass(frozen=True, slots=True)
class Refuse:
    """Close the connection without an answer. `carried_out`: only after the server has done what was asked."""

    carried_out: bool = False


@dataclass(frozen=True, slots=True)
class Silence:
    """Say nothing any more and keep the connection open: before the answer, or in the middle of a watch."""


@dataclass(frozen=True, slots=True)
class StaleList:
    """Answer a list as it was answered the first time that this proxy saw it, as a stale watch cache does.

    A list of the latest state (no resourceVersion) never comes from a cache and is answered truly.
    """


@dataclass(frozen=True, slots=True)
class EmptyWatch:
    """Answer 200 and end at once: a watch that brings nothing, again and again."""


@dataclass(frozen=True, slots=True)
class Drop:
    """Lose a watch event."""


@dataclass(frozen=True, slots=True)
class Delay:
    """Hold a watch event, and all behind it, for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Duplicate:
    """Send a watch event twice."""


@dataclass(frozen=True, slots=True)
class Cut:
    """Break the connection at a watch event; `half` sends the first half of its line before."""

    half: bool = False


@dataclass(frozen=True, slots=True)
class End:
    """End the watch as the server does at its time limit."""


@dataclass(frozen=True, slots=True)
class ErrorEvent:
    """Put an ERROR event with this Status into the stream and end it (410 in its other form, 500, …)."""

    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Garbage:
    """Put a line into the stream that is no JSON."""


@dataclass(frozen=True, slots=True)
class Inflate:
    """Make the event's line so many bytes long, with an annotation that nobody asked for."""

    size: int


BeforeRequest = Answer | Refuse | Silence | StaleList | EmptyWatch
DuringWatch = Silence | Drop | Delay | Duplicate | Cut | End | ErrorEvent | Garbage | Inflate
Fault = BeforeRequest | DuringWatch


@dataclass(slots=True)
class Rule:
    """A fault with its conditions. `acted` counts how often it did."""

    fault: Fault
    when: Matching
    times: int | None
    probability: float
    in_watch: bool
    acted: int = 0


@dataclass(slots=True)
class Faults:
    """All rules in force."""

    seed: int = 0
    rules: list[Rule] = field(default_factory=list)
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def add(
        self,
        fault: Fault,
        *,
        when: Matching = Matching(),
        times: int | None = None,
        probability: float = 1.0,
        in_watch: bool | None = None,
    ) -> Rule:
        """Add a rule. `in_watch` tells for Silence whether it begins within a watch; the others know."""
        during = in_watch if in_watch is not None else not isinstance(fault, BeforeRequest)
        rule = Rule(fault, when, times, probability, during)
        self.rules.append(rule)
        return rule

    def clear(self) -> None:
        """From now on everything works."""
        self.rules.clear()

    def before(self, method: str, path: str, *, watch: bool) -> BeforeRequest | None:
        """What to do to a request as a whole."""
        fault = self._first(method, path, watch=watch, in_watch=False)
        assert fault is None or isinstance(fault, BeforeRequest)
        return fault

    def during(self, path: str, event: str) -> DuringWatch | None:
        """What to do to the next event of a watch, which is of this type."""
        fault = self._first("GET", path, watch=True, in_watch=True, event=event)
        assert fault is None or isinstance(fault, DuringWatch)
        return fault

    def _first(
        self, method: str, path: str, *, watch: bool, in_watch: bool, event: str | None = None
    ) -> Fault | None:
        for rule in self.rules:
            if rule.in_watch != in_watch or not rule.when.fits(method, path, watch=watch, event=event):
                continue
            if rule.times is not None and rule.acted >= rule.times:
                continue
            if rule.probability < 1.0 and self._random.random() >= rule.probability:
                continue
            rule.acted += 1
            return rule.fault
        return None
