"""How a list/watch goes on: the next state as a pure function of state and event (G1-G6, G9-G13).

    awaiting             event                                next
    Connecting(initial)  opened                               Streaming
                         failed                               Listing (if refused: after a pause)
    Streaming            end of the initial events            Watching
                         whatever else ends it                Listing
    Listing              listed                               Connecting(resume)
                         older than asked for, or version     Listing of the latest state, once
                         expired or too large
                         failed                               pause, then from the start
    Connecting(resume)   opened                               Watching
                         refused: unreachable, 429            pause, then Connecting(resume), without a list
                         expired, any other error             pause, then from the start
    Watching             change, bookmark                     Watching from the version that came
                         closed, cut, idle                    Connecting(resume)
                         expired, error, line not decodable,  pause, then from the start
                         unreadable deletion, very short,
                         event from the past

"From the start" is a WatchList if the server has it, else a list, from the last version known.

A state says what is awaited: a watch to open, a line, a list, or the end of a pause. A step answers with the
next state and with what to do to the cache at once. The loop that carries it out is in `reflector`.
"""

from __future__ import annotations

from typing import TypeAlias, assert_never

from msgspec.structs import replace

from informers.actions import Action, Advance, Apply, Collect, Replace, ReplaceByCollected, Report
from informers.events import (
    Bookmark,
    Changed,
    Crashed,
    Ended,
    ErrorEvent,
    Event,
    Fault,
    Idle,
    Listed,
    ListFailed,
    Opened,
    Refused,
    Rested,
    Skipped,
    Undecodable,
)
from informers.key import Key
from informers.resource_version import UNSET, is_older
from informers.states import ANY_VERSION, LATEST, BackingOff, Connecting, Listing, State, Streaming, Watching

VERY_SHORT = 1.0
"""Seconds; a watch that ended sooner and brought nothing is a failure, not an ordinary close (G10)."""


Step: TypeAlias = tuple[State, tuple[Action, ...]]


class UnexpectedEvent(Exception):
    """The loop delivered an event that the state does not await: an error in this package."""


def start(watch_list: bool) -> State:
    """The first state: nothing is known."""
    return _restart(ANY_VERSION, watch_list)


def step(state: State, event: Event) -> Step:
    """The next state, and what to do to the cache on the way. Raises UnexpectedEvent."""
    if isinstance(event, Crashed):
        return BackingOff(_restart(_rv_of(state), _watch_list_of(state))), (Report("crash", event.message),)
    match state:
        case Watching():
            return _watching(state, event)
        case Streaming():
            return _streaming(state, event)
        case Connecting():
            return (_initial if state.initial else _resuming)(state, event)
        case Listing():
            return _listing(state, event)
        case BackingOff():
            if isinstance(event, Rested):
                return state.then, ()
            raise UnexpectedEvent(f"{event} while backing off")
        case _:
            assert_never(state)


def _restart(rv: str, watch_list: bool) -> Connecting | Listing:
    return Connecting(rv, watch_list, initial=True) if watch_list else Listing(rv, watch_list)


def _rv_of(state: State) -> str:
    return state.then.rv if isinstance(state, BackingOff) else state.rv


def _watch_list_of(state: State) -> bool:
    return state.then.watch_list if isinstance(state, BackingOff) else state.watch_list


def _initial(state: Connecting, event: Event) -> Step:
    """A WatchList that cannot be had falls back to a list, for good if the server does not know it (G2)."""
    match event:
        case Opened():
            return Streaming(state.rv, state.watch_list), ()
        case Refused(fault=fault):
            return _fall_back(state, fault, f"watch-list {fault.value}")
    raise UnexpectedEvent(f"{event} while connecting")


def _fall_back(state: Connecting | Streaming, fault: Fault, reason: str) -> Step:
    """To a list; after a pause if the server takes no requests at all."""
    rv = LATEST if fault in (Fault.EXPIRED, Fault.TOO_LARGE) else state.rv
    listing = Listing(rv, watch_list=state.watch_list and fault is not Fault.UNSUPPORTED)
    then = BackingOff(listing) if fault is Fault.REFUSED else listing
    return then, (Report(reason),)


def _streaming(state: Streaming, event: Event) -> Step:
    match event:
        case Skipped(deleted=True):
            return _fall_back(state, Fault.OTHER, "watch-list unreadable deletion")
        case Changed() | Skipped(key=Key()):
            return state, (Collect(event),)
        case Skipped():
            return state, (Report(event.reason, event.message),)
        case Bookmark(rv=rv, initial_end=True) if is_older(rv, state.rv):
            return _fall_back(state, Fault.TOO_LARGE, "watch-list from the past")
        case Bookmark(rv=rv, initial_end=True):
            # `opened` differs from `rv`: a stream that brought the collection was not "very short".
            watching = Watching(rv, state.watch_list, listed=rv, opened="")
            return watching, (ReplaceByCollected(rv),)
        case Bookmark():
            return state, ()
        case ErrorEvent():
            return _fall_back(state, event.fault, f"watch-list {event.fault.value}")
        case Undecodable() | Ended() | Idle():
            return _fall_back(state, Fault.OTHER, f"watch-list {type(event).__name__.lower()}")
    raise UnexpectedEvent(f"{event} while streaming")


def _listing(state: Listing, event: Event) -> Step:
    match event:
        case Listed() if is_older(event.rv, state.rv):
            # A server that lags behind the one asked before: believing it would travel back in time.
            return Listing(LATEST, state.watch_list), (
                Report("list from the past", f"{event.rv} for {state.rv}"),
            )
        case Listed():
            then = Connecting(event.rv, state.watch_list, initial=False, listed=event.rv)
            return then, (Replace(event.objects, event.rv, event.unreadable),)
        case ListFailed(fault=Fault.EXPIRED | Fault.TOO_LARGE) if state.rv != LATEST:
            return Listing(LATEST, state.watch_list), ()
        case ListFailed(fault=fault):
            return BackingOff(_restart(state.rv, state.watch_list)), (Report(f"list {fault.value}"),)
    raise UnexpectedEvent(f"{event} while listing")


def _resuming(state: Connecting, event: Event) -> Step:
    match event:
        case Opened():
            return Watching(state.rv, state.watch_list, state.listed, opened=state.rv), ()
        case Refused(fault=fault):
            return _after_fault(state, fault)
    raise UnexpectedEvent(f"{event} while connecting")


def _after_fault(state: Connecting | Watching, fault: Fault) -> Step:
    """A server that takes no requests is asked the same again (G11); all else needs a relist (G6, G12).

    A version that expires although no event came since it was listed would be listed again just the same
    from a stale watch cache: then the latest state is asked for, so that no version is tried for ever.
    """
    if fault is Fault.REFUSED:
        again = Connecting(state.rv, state.watch_list, initial=False, listed=state.listed)
        return BackingOff(again), (Report("watch refused"),)
    useless = fault in (Fault.EXPIRED, Fault.TOO_LARGE) and state.rv == state.listed
    restart = _restart(LATEST if useless else state.rv, state.watch_list)
    return BackingOff(restart), (Report(f"watch {fault.value}"),)


def _watching(state: Watching, event: Event) -> Step:
    match event:
        case Changed():
            return _changed(state, event)
        case Bookmark(rv=rv):
            if is_older(rv, state.rv):
                return state, ()
            return replace(state, rv=rv), (Advance(rv),)
        case ErrorEvent():
            return _after_fault(state, event.fault)
        case Skipped(deleted=True):
            # The cache may hold the object as it was when it could be read; a list does without it.
            return _relist(state, "unreadable deletion", event.message)
        case Skipped():
            return state, (Report(event.reason, event.message),)
        case Undecodable():
            return _relist(state, "undecodable line", event.message)
        case Ended() if event.lasted < VERY_SHORT and state.rv == state.opened:
            return _relist(state, "very short watch")
        case Ended() | Idle():
            return Connecting(state.rv, state.watch_list, initial=False, listed=state.listed), ()
    raise UnexpectedEvent(f"{event} while watching")


def _changed(state: Watching, event: Changed) -> Step:
    if state.rv in UNSET and event.type == "ADDED":
        # Synthetic events tell what is there, in no order of versions: none is a place to resume (G3).
        return state, (Apply(event, state.rv),)
    if is_older(event.rv, state.rv):
        return _relist(state, "event from the past", f"{event.rv} after {state.rv}")
    return replace(state, rv=event.rv), (Apply(event, event.rv),)


def _relist(state: Watching, reason: str, message: str = "") -> Step:
    return BackingOff(_restart(state.rv, state.watch_list)), (Report(reason, message),)
