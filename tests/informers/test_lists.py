"""How a collection is first read, and read again (G1, G2): exact sequences of requests on virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kube.errors import ApiError, Unreachable
from tests.informers.scripted import (
    CLOSE,
    Diary,
    ScriptedServer,
    added,
    api_error,
    bookmark,
    deleted,
    error,
    expired,
    follow,
    listed,
    modified,
    names,
    refused,
    run_for,
    running,
    thing,
)

pytestmark = pytest.mark.looptime


# --- G1 consistent start ---


async def test_g1_the_first_list_may_be_any_version_and_the_watch_starts_at_the_lists_own(
    server: ScriptedServer,
) -> None:
    """Never at the version of the last item listed, which may be older or newer than the list."""
    server.will_list(listed(10, thing("a", 3), thing("b", 9)))
    informer = follow(server)
    await run_for(informer, 1)
    assert server.requests == ["list '0'", "watch '10'"]
    assert names(informer) == ["a", "b"]


async def test_g1_a_relist_asks_for_no_older_state_than_the_last_seen(server: ScriptedServer) -> None:
    server.will_list(listed(10), listed(30)).will_watch(added("a", 20), 5.0, error(500, "InternalError"))
    await run_for(follow(server), 60)
    assert server.requests == ["list '0'", "watch '10'", "list '20'", "watch '30'"]


@pytest.mark.parametrize(
    "failure",
    [
        expired(),
        api_error(504, "Timeout", "Too large resource version: 20, current: 3"),
        api_error(504, "Timeout", details={"causes": [{"reason": "ResourceVersionTooLarge"}]}),
    ],
    ids=["expired", "too large, old server", "too large"],
)
async def test_g1_a_version_that_the_server_cannot_serve_is_followed_at_once_by_the_latest_state(
    server: ScriptedServer, failure: ApiError
) -> None:
    server.will_list(listed(10), failure, listed(3, thing("a", 2)))
    server.will_watch(added("a", 20), 5.0, error(500, "InternalError"))
    informer = follow(server)
    await run_for(informer, 60)
    assert server.requests == ["list '0'", "watch '10'", "list '20'", "list '' limit 500", "watch '3'"]
    assert list(server.waits())[2] == 0
    assert informer.resource_version == "3"


async def test_g1_a_server_that_fails_every_version_is_asked_under_backoff(server: ScriptedServer) -> None:
    server.will_list(*[expired() for _ in range(6)])
    await run_for(follow(server), 30)
    assert server.requests[:4] == ["list '0'", "list '' limit 500", "list '' limit 500", "list '' limit 500"]
    assert list(server.waits())[:4] == [0, 0.8, 1.6, 3.2]


async def test_g1_pages_are_one_snapshot_at_the_first_pages_version(server: ScriptedServer) -> None:
    server.will_list(expired())
    server.will_list(listed(50, thing("a", 1), continue_="t1"), listed(50, thing("b", 2), continue_="t2"))
    server.will_list(listed(50, thing("c", 3)))
    informer = follow(server)
    await run_for(informer, 1)
    assert server.requests[1:] == [
        "list '' limit 500",
        "list None limit 500 page t1",
        "list None limit 500 page t2",
        "watch '50'",
    ]
    assert names(informer) == ["a", "b", "c"]


async def test_g1_a_continue_token_that_expires_falls_back_to_the_full_list(server: ScriptedServer) -> None:
    server.will_list(expired(), listed(50, thing("a", 1), thing("gone", 2), continue_="t1"), expired())
    server.will_list(listed(60, thing("a", 1), thing("b", 55)))
    informer = follow(server)
    await run_for(informer, 1)
    assert server.requests[1:] == [
        "list '' limit 500",
        "list None limit 500 page t1",
        "list ''",
        "watch '60'",
    ]
    assert names(informer) == ["a", "b"]


async def test_a_list_older_than_what_was_seen_already_is_not_believed(server: ScriptedServer) -> None:
    """An API server that lags behind the one asked before would bring deleted objects back."""
    server.will_list(listed(10), listed(15, thing("back from the dead", 14)), listed(30, thing("a", 25)))
    server.will_watch(added("a", 25), 5.0, error(410, "Expired"))
    informer, diary = follow(server), Diary()
    informer.add_handler(diary)
    await run_for(informer, 10)
    assert server.requests == ["list '0'", "watch '10'", "list '25'", "list '' limit 500", "watch '30'"]
    assert diary.entries == ["add a"]


async def test_a_watch_list_older_than_what_was_seen_already_is_not_believed(server: ScriptedServer) -> None:
    server.will_watch(bookmark(10, initial_end=True), added("a", 25), 5.0, error(410, "Expired"))
    server.will_watch(added("back-from-the-dead", 14), bookmark(15, initial_end=True))
    server.will_list(listed(30, thing("a", 25)))
    informer, diary = follow(server, watch_list=True), Diary()
    informer.add_handler(diary)
    await run_for(informer, 10)
    assert server.requests == ["watch-list ''", "watch-list '25'", "list '' limit 500", "watch '30'"]
    assert diary.entries == ["add a"]


async def test_after_a_restore_from_backup_the_latest_state_counts_however_old(
    server: ScriptedServer,
) -> None:
    server.will_list(listed(1000, thing("lost", 999)), expired(), listed(50, thing("restored", 40)))
    server.will_watch(5.0, error(410, "Expired"))
    informer = follow(server)
    await run_for(informer, 10)
    assert server.requests == [
        "list '0'",
        "watch '1000'",
        "list '' limit 500",
        "list '' limit 500",
        "watch '50'",
    ]
    assert names(informer) == ["restored"]


# --- G2 WatchList ---


async def test_g2_a_watch_list_fills_the_cache_at_once_when_its_end_is_marked(server: ScriptedServer) -> None:
    server.will_watch(
        added("a", 3), added("b", 5), 1.0, bookmark(9, initial_end=True), added("c", 10), modified("a", 11)
    )
    informer, diary = follow(server, watch_list=True), Diary()
    informer.add_handler(diary)
    async with running(informer):
        await asyncio.sleep(0.5)
        early = (informer.synced, names(informer))
        await asyncio.sleep(1)
    assert early == (False, [])
    assert informer.synced
    assert server.requests == ["watch-list ''"]
    assert diary.entries == ["add a initial", "add b initial", "add c", "update a 3->11"]
    assert informer.resource_version == "11"


async def test_g2_the_stream_goes_on_as_a_watch_and_is_resumed_without_a_list(server: ScriptedServer) -> None:
    server.will_watch(added("a", 3), bookmark(9, initial_end=True), CLOSE)
    await run_for(follow(server, watch_list=True), 60)
    assert server.requests == ["watch-list ''", "watch '9'"]


async def test_g2_changes_within_the_initial_events_count(server: ScriptedServer) -> None:
    server.will_watch(added("a", 3), added("b", 4), deleted("a", 6), bookmark(9, initial_end=True))
    informer = follow(server, watch_list=True)
    await run_for(informer, 1)
    assert names(informer) == ["b"]


async def test_g2_a_server_that_knows_no_watch_list_is_listed_and_never_asked_again(
    server: ScriptedServer,
) -> None:
    server.will_refuse(api_error(422, "Invalid", "sendInitialEvents is forbidden"))
    server.will_list(listed(10, thing("a", 3)), listed(20))
    server.will_watch(bookmark(12), 5.0, error(410, "Expired"))
    await run_for(follow(server, watch_list=True), 60)
    assert server.requests == ["watch-list ''", "list '0'", "watch '10'", "list '12'", "watch '20'"]


@pytest.mark.parametrize(
    "script",
    [
        (added("a", 3), CLOSE),
        (added("a", 3), Unreachable(0, "Unreachable", "cut")),
        (added("a", 3), b'{"type":"ADDED","obj'),
        (added("a", 3), error(500, "InternalError")),
        (added("a", 3),),
    ],
    ids=["closed", "cut", "half a line", "error", "silent"],
)
async def test_g2_initial_events_that_break_off_change_nothing_and_fall_back_to_a_list(
    server: ScriptedServer, script: tuple[Any, ...]
) -> None:
    server.will_watch(*script).will_list(listed(10, thing("b", 4)))
    informer, diary = follow(server, watch_list=True), Diary()
    informer.add_handler(diary)
    await run_for(informer, 60)
    assert server.requests == ["watch-list ''", "list '0'", "watch '10'"]
    assert diary.entries == ["add b initial"]


async def test_g2_a_refused_watch_list_falls_back_to_a_list_after_a_pause(server: ScriptedServer) -> None:
    server.will_refuse(refused()).will_list(listed(10))
    await run_for(follow(server, watch_list=True), 10)
    assert server.requests == ["watch-list ''", "list '0'", "watch '10'"]
    assert next(server.waits()) == 0.8


async def test_g2_a_relist_is_a_watch_list_from_the_last_version_and_a_diff(server: ScriptedServer) -> None:
    server.will_watch(added("a", 3), added("b", 4), bookmark(9, initial_end=True), 5.0, error(410, "Expired"))
    server.will_watch(added("b", 4), added("c", 12), bookmark(15, initial_end=True))
    informer, diary = follow(server, watch_list=True), Diary()
    informer.add_handler(diary)
    await run_for(informer, 60)
    # The version 9 had just been listed when it expired: trying it again could go on for ever.
    assert server.requests == ["watch-list ''", "watch-list ''"]
    assert diary.entries[2:] == ["delete a unseen", "add c"]


async def test_g2_initial_events_without_an_end_are_warned_about(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.will_watch(added("a", 3), 20.0, bookmark(9, initial_end=True))
    await run_for(follow(server, watch_list=True), 30)
    assert "initial events have not ended" in caplog.text
