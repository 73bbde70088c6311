"""The states of a list/watch: each says what is awaited next."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

ANY_VERSION = "0"
"""The first list may come from the server's watch cache, however old: the watch then catches up (G1)."""

LATEST = ""
"""Asks for the state that etcd agrees on: slower, for when the version that we know is of no use."""


class Connecting(Struct, frozen=True):
    """A watch is being opened: from `rv` on, or (initial) from nothing, with the collection first (G2)."""

    rv: str
    watch_list: bool
    initial: bool
    listed: str = ""


class Streaming(Struct, frozen=True):
    """The initial events come in; the cache stays as it is until their end."""

    rv: str
    watch_list: bool


class Listing(Struct, frozen=True):
    """The collection is being listed, not older than `rv`."""

    rv: str
    watch_list: bool


class Watching(Struct, frozen=True):
    """Changes come in; `rv` is the last version seen, `opened` and `listed` the ones at those moments."""

    rv: str
    watch_list: bool
    listed: str
    opened: str


class BackingOff(Struct, frozen=True):
    """A pause, after which `then` begins."""

    then: Connecting | Listing


State: TypeAlias = Connecting | Streaming | Listing | Watching | BackingOff
