"""The step of a list/watch as a pure function: what holds for every sequence of events (G1, G6, G10, G11)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from informers.actions import Advance, Apply, Replace, ReplaceByCollected
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
from informers.resource_version import is_older
from informers.states import BackingOff, Connecting, Listing, State, Streaming, Watching
from informers.watch import UnexpectedEvent, start, step

FAULTS = st.sampled_from(Fault)
VERSIONS = st.integers(min_value=1, max_value=30).map(str)
CRASH = st.just(Crashed("a bug"))
LINES = st.one_of(
    st.builds(Changed, st.sampled_from(["ADDED", "MODIFIED", "DELETED"]), st.just("an object"), VERSIONS),
    st.builds(Bookmark, VERSIONS, st.booleans()),
    st.builds(ErrorEvent, FAULTS),
    st.builds(Skipped, st.just("odd"), st.just("")),
    st.just(Undecodable()),
    st.builds(Ended, st.sampled_from([0.2, 5.0])),
    st.just(Idle()),
    CRASH,
)
AWAITED: dict[type[Any], st.SearchStrategy[Event]] = {
    Connecting: st.one_of(st.just(Opened()), st.builds(Refused, FAULTS), CRASH),
    Streaming: LINES,
    Watching: LINES,
    Listing: st.one_of(st.builds(Listed, st.just(()), VERSIONS), st.builds(ListFailed, FAULTS), CRASH),
    BackingOff: st.just(Rested()),
}
"""What the loop can deliver in each state."""

HISTORY = 60

steady = settings(max_examples=60, deadline=None)


def play(data: st.DataObject, watch_list: bool) -> list[tuple[State, Event, State, tuple[Any, ...]]]:
    state = start(watch_list)
    steps = []
    for _ in range(HISTORY):
        event = data.draw(AWAITED[type(state)])
        after, actions = step(state, event)
        steps.append((state, event, after, actions))
        state = after
    return steps


@steady
@given(data=st.data(), watch_list=st.booleans())
def test_every_event_that_a_state_awaits_leads_to_a_state(data: st.DataObject, watch_list: bool) -> None:
    play(data, watch_list)


@steady
@given(data=st.data(), watch_list=st.booleans())
def test_g10_a_server_that_only_fails_is_asked_at_most_four_times_without_a_pause(
    data: st.DataObject, watch_list: bool
) -> None:
    """WatchList, list, list of the latest state, watch: then there is progress, or a pause."""
    requests = 0
    for before, event, after, actions in play(data, watch_list):
        if isinstance(before, Connecting | Listing):
            requests += 1
        progress = any(isinstance(action, Apply | Advance | ReplaceByCollected) for action in actions)
        lasted = isinstance(event, Idle) or (isinstance(event, Ended) and event.lasted >= 1)
        if progress or lasted or isinstance(after, BackingOff):
            requests = 0
        assert requests <= 4


@steady
@given(data=st.data(), watch_list=st.booleans())
def test_the_cache_never_goes_back_in_time_unless_the_latest_state_was_asked_for(
    data: st.DataObject, watch_list: bool
) -> None:
    version = ""
    asked_for_latest = False
    for before, _, _, actions in play(data, watch_list):
        if isinstance(before, Listing | Connecting) and before.rv == "":
            asked_for_latest = True
        for action in actions:
            if isinstance(action, Replace | ReplaceByCollected | Apply | Advance):
                assert asked_for_latest or not is_older(action.rv, version)
                version = action.rv
                asked_for_latest = False


@steady
@given(data=st.data(), watch_list=st.booleans())
def test_g6_a_version_that_expires_straight_after_its_list_is_given_up(
    data: st.DataObject, watch_list: bool
) -> None:
    """A stale cache would list it again, and it would expire again."""
    for before, event, after, _ in play(data, watch_list):
        resumed = isinstance(before, Watching) or (isinstance(before, Connecting) and not before.initial)
        expired = isinstance(event, Refused | ErrorEvent) and event.fault is Fault.EXPIRED
        if resumed and expired:
            assert isinstance(after, BackingOff)
            assert isinstance(before, Watching | Connecting)
            assert after.then.rv == ("" if before.rv == before.listed else before.rv)


@steady
@given(data=st.data())
def test_g11_a_refused_watch_never_costs_a_list(data: st.DataObject) -> None:
    for before, event, after, _ in play(data, False):
        if isinstance(event, Refused | ErrorEvent) and event.fault is Fault.REFUSED:
            assert isinstance(before, Connecting | Watching)
            assert isinstance(after, BackingOff)
            assert after.then == Connecting(before.rv, False, initial=False, listed=before.listed)


@steady
@given(data=st.data())
def test_g2_a_server_without_watch_list_is_never_asked_for_it_again(data: st.DataObject) -> None:
    unsupported = False
    for before, event, after, _ in play(data, True):
        if isinstance(before, Connecting) and before.initial:
            assert not unsupported
            unsupported = isinstance(event, Refused) and event.fault is Fault.UNSUPPORTED
        if isinstance(before, Streaming) and isinstance(event, ErrorEvent):
            unsupported = unsupported or event.fault is Fault.UNSUPPORTED
        assert not (unsupported and isinstance(after, Streaming))


@steady
@given(data=st.data())
def test_the_same_state_and_event_always_give_the_same_step(data: st.DataObject) -> None:
    for before, event, after, actions in play(data, True):
        assert step(before, event) == (after, actions)


@pytest.mark.parametrize(
    ("state", "event"),
    [
        (BackingOff(Listing("0", False)), Opened()),
        (Listing("0", False), Idle()),
        (Connecting("5", False, initial=False), Ended(1)),
        (Connecting("0", True, initial=True), Ended(1)),
        (Watching("5", False, "5", "5"), Rested()),
        (Streaming("0", True), Listed((), "5")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_event_that_no_request_can_have_brought_is_an_error_of_ours(state: State, event: Event) -> None:
    with pytest.raises(UnexpectedEvent):
        step(state, event)
