"""Which events are worth a write: repeats become a count, floods a trickle (G46). Pure but for its memory.

The rules and numbers are those of client-go's event correlator, which people's eyes and alerts are used to:
the same event again raises a count; more than 10 that differ in their message alone within 10 minutes become
one that says so; and one source may say 25 things about an object at once, then one more every 5 minutes.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

SIMILAR_LIMIT = 10
SIMILAR_WINDOW = 600.0
"""Seconds."""

BURST = 25
REFILL_SECONDS = 300.0
"""Seconds until one more event about the same object may be written."""

MEMORY = 4096
"""Objects and events that are remembered; the least recently used are forgotten."""

SERIES_GAP = 360.0
"""Seconds without a repeat after which a series has ended and the next event is a new one."""

COMBINED = "(combined from similar events): "

K = TypeVar("K")
V = TypeVar("V")


class ObjectReference(NamedTuple):
    """The object that an event is about."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str
    resource_version: str = ""


class Occurrence(NamedTuple):
    """Something that happened to an object. `type` is Normal or Warning."""

    about: ObjectReference
    type: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Write:
    """What to do: create a new event, or raise the count of the one that `serial` was given before."""

    occurrence: Occurrence
    serial: int
    count: int


class _Memory(Generic[K, V]):
    """A mapping that forgets what was not used for longest."""

    def __init__(self) -> None:
        self._items: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        value = self._items.get(key)
        if value is not None:
            self._items.move_to_end(key)
        return value

    def put(self, key: K, value: V) -> None:
        self._items[key] = value
        self._items.move_to_end(key)
        if len(self._items) > MEMORY:
            self._items.popitem(last=False)


@dataclass(slots=True)
class _Similar:
    since: float
    messages: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


@dataclass(slots=True)
class _Series:
    serial: int
    count: int
    last: float


class Correlator:
    """Decides for each occurrence whether, and as what, it is written. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._similar: _Memory[tuple[ObjectReference, str, str], _Similar] = _Memory()
        self._buckets: _Memory[ObjectReference, _Bucket] = _Memory()
        self._series: _Memory[Occurrence, _Series] = _Memory()
        self._serial = 0

    def correlate(self, occurrence: Occurrence, now: float) -> Write | None:
        """What to write for this occurrence; `None` if it is one too many."""
        # An object's version differs from event to event; what happened to it does not.
        if occurrence.about.resource_version:
            occurrence = occurrence._replace(about=occurrence.about._replace(resource_version=""))
        occurrence = self._combine(occurrence, now)
        if not self._afford(occurrence.about, now):
            return None
        series = self._series.get(occurrence)
        if series is not None and now - series.last < SERIES_GAP:
            series.count += 1
            series.last = now
            return Write(occurrence, series.serial, series.count)
        self._serial += 1
        self._series.put(occurrence, _Series(self._serial, 1, now))
        return Write(occurrence, self._serial, 1)

    def _combine(self, occurrence: Occurrence, now: float) -> Occurrence:
        key = (occurrence.about, occurrence.type, occurrence.reason)
        similar = self._similar.get(key)
        if similar is None or now - similar.since > SIMILAR_WINDOW:
            similar = _Similar(now)
            self._similar.put(key, similar)
        if occurrence.message in similar.messages:
            return occurrence
        if len(similar.messages) < SIMILAR_LIMIT:
            similar.messages.add(occurrence.message)
            return occurrence
        # One text for all that follow, so that they are one series.
        return occurrence._replace(message=COMBINED + min(similar.messages))

    def _afford(self, about: ObjectReference, now: float) -> bool:
        bucket = self._buckets.get(about)
        if bucket is None:
            bucket = _Bucket(float(BURST), now)
            self._buckets.put(about, bucket)
        bucket.tokens = min(float(BURST), bucket.tokens + (now - bucket.at) / REFILL_SECONDS)
        bucket.at = now
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True
