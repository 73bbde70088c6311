"""What happens to a list/watch: the answers, lines and failures that a state awaits."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any, TypeAlias

from msgspec import Struct

from informers.key import Key


class Fault(Enum):
    """What a failed request means for the next one."""

    EXPIRED = "expired"
    """The server no longer keeps the version asked for (410)."""
    TOO_LARGE = "version too large"
    """The server has not seen the version asked for yet."""
    REFUSED = "refused"
    """The server takes no requests now: not reachable, or too many (429)."""
    UNSUPPORTED = "unsupported"
    """The server does not know this kind of request."""
    OTHER = "error"


class Opened(Struct, frozen=True):
    """The server accepted the watch."""


class Refused(Struct, frozen=True):
    """The watch could not be opened."""

    fault: Fault


class Changed(Struct, frozen=True):
    """An object was added, modified or deleted."""

    type: str
    object: Any
    rv: str


class Bookmark(Struct, frozen=True):
    """Everything up to `rv` has been sent; with `initial_end` the collection is complete."""

    rv: str
    initial_end: bool = False


class ErrorEvent(Struct, frozen=True):
    """The server reported an error inside the stream."""

    fault: Fault
    message: str = ""


class Skipped(Struct, frozen=True):
    """A line that is whole but not an object that we can read; `key` if at least that is known.

    `reason` is one of few, for metrics; `message` has the details; `deleted` if it told of a deletion.
    """

    reason: str
    message: str
    key: Key | None = None
    deleted: bool = False


class Undecodable(Struct, frozen=True):
    """A line that is not JSON: the stream cannot be trusted any further."""

    message: str = ""


class Ended(Struct, frozen=True):
    """The stream closed or was cut, after so many seconds."""

    lasted: float


class Idle(Struct, frozen=True):
    """Nothing came for so long that the connection must be dead."""


class Listed(Struct, frozen=True):
    """The whole collection; `unreadable` are keys that exist but could not be decoded."""

    objects: Sequence[Any]
    rv: str
    unreadable: frozenset[Key] = frozenset()


class ListFailed(Struct, frozen=True):
    """The list could not be had."""

    fault: Fault


class Rested(Struct, frozen=True):
    """The pause is over."""


class Crashed(Struct, frozen=True):
    """Our own code failed; the reflector starts over rather than ending (G23)."""

    message: str


Event: TypeAlias = (
    Opened
    | Refused
    | Changed
    | Bookmark
    | ErrorEvent
    | Skipped
    | Undecodable
    | Ended
    | Idle
    | Listed
    | ListFailed
    | Rested
    | Crashed
)
