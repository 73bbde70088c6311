"""What a step does to the cache, at once and without waiting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

from msgspec import Struct

from informers.events import Changed, Skipped
from informers.key import Key


class Replace(Struct, frozen=True):
    """The collection is this, as of `rv`; what is `unreadable` stays as it was."""

    objects: Sequence[Any]
    rv: str
    unreadable: frozenset[Key]


class Collect(Struct, frozen=True):
    """Keep the initial event aside."""

    event: Changed | Skipped


class ReplaceByCollected(Struct, frozen=True):
    """The collection is what was kept aside, as of `rv`."""

    rv: str


class Apply(Struct, frozen=True):
    """One object changed; the cache is now as of `rv`."""

    change: Changed
    rv: str


class Advance(Struct, frozen=True):
    """Nothing changed up to `rv`."""

    rv: str


class Report(Struct, frozen=True):
    """Something that ought not to happen; goes to the log and the metrics."""

    reason: str
    message: str = ""


Action: TypeAlias = Replace | Collect | ReplaceByCollected | Apply | Advance | Report
