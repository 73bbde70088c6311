"""What a list/watch promises (G1-G13, G23): scripted servers on virtual time, exact sequences of requests."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from informers.backoff import Backoff
from informers.informer import Informer
from informers.metrics import NoInformerMetrics
from informers.reflector import STUCK_AFTER
from informers.timing import loop_clock
from kube.errors import ApiError, DeadlineExceeded, Unreachable
from tests.informers.scripted import (
    CLOSE,
    LEAK,
    THINGS,
    Diary,
    NoJitter,
    ScriptedServer,
    Thing,
    added,
    bookmark,
    deleted,
    error,
    event,
    follow,
    listed,
    modified,
    names,
    run_for,
    running,
    thing,
)

pytestmark = pytest.mark.looptime


def api_error(status: int, reason: str, message: str = "", **more: Any) -> ApiError:
    return ApiError(status, reason, message, **more)


def expired() -> ApiError:
    return api_error(410, "Expired")


def refused() -> Unreachable:
    return Unreachable(0, "Unreachable", "connection refused")


@pytest.fixture
def server() -> ScriptedServer:
    return ScriptedServer()


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


# --- G3 which version counts ---


@pytest.mark.parametrize("unset", ["", "0"])
async def test_g3_synthetic_events_of_a_watch_from_nowhere_do_not_advance_the_version(
    server: ScriptedServer, unset: str
) -> None:
    server.will_list(listed(unset))
    server.will_watch(added("a", 30), added("b", 7), 2.0, CLOSE).will_watch(
        added("c", 40), bookmark(31), CLOSE
    )
    informer = follow(server)
    await run_for(informer, 3)
    assert server.requests == ["list '0'", f"watch '{unset}'", f"watch '{unset}'", "watch '31'"]
    assert names(informer) == ["a", "b", "c"]


async def test_g3_a_resumed_watch_starts_at_the_last_event_not_at_the_list(server: ScriptedServer) -> None:
    """Else every reconnect would replay what is known already."""
    server.will_list(listed(10, thing("a", 3)))
    server.will_watch(added("b", 12), modified("a", 15), deleted("b", 16), CLOSE)
    await run_for(follow(server), 1)
    assert server.requests == ["list '0'", "watch '10'", "watch '16'"]


# --- G5 bookmarks ---


async def test_g5_bookmarks_are_asked_for_and_move_the_version_only(server: ScriptedServer) -> None:
    server.will_list(listed(10, thing("a", 3))).will_watch(bookmark(99), 2.0, CLOSE)
    informer, diary = follow(server), Diary()
    informer.add_handler(diary)
    await run_for(informer, 5)
    assert server.details[1]["allow_bookmarks"] is True
    assert server.requests == ["list '0'", "watch '10'", "watch '99'"]
    assert informer.resource_version == "99"
    assert diary.entries == ["add a initial"]


async def test_g5_a_server_without_bookmarks_is_followed_all_the_same(server: ScriptedServer) -> None:
    server.will_list(listed(10)).will_watch(299.0, added("a", 12), CLOSE)
    informer = follow(server)
    await run_for(informer, 299.5)
    assert names(informer) == ["a"]


async def test_g5_a_bookmark_from_the_past_changes_nothing(server: ScriptedServer) -> None:
    server.will_list(listed(10)).will_watch(bookmark(20), bookmark(15), 2.0, CLOSE)
    await run_for(follow(server), 5)
    assert server.requests[-1] == "watch '20'"


# --- G6 expired versions ---


async def test_g6_a_410_as_http_status_relists_from_the_last_version(server: ScriptedServer) -> None:
    server.will_list(listed(10), listed(50)).will_watch(added("a", 20), CLOSE).will_refuse(expired())
    await run_for(follow(server), 5)
    assert server.requests == ["list '0'", "watch '10'", "watch '20'", "list '20'", "watch '50'"]


async def test_g6_a_410_inside_the_stream_relists_from_the_last_version(server: ScriptedServer) -> None:
    server.will_list(listed(10), listed(50)).will_watch(added("a", 20), 5.0, error(410, "Expired"))
    await run_for(follow(server), 10)
    assert server.requests == ["list '0'", "watch '10'", "list '20'", "watch '50'"]


async def test_g6_a_version_that_expires_straight_after_its_list_is_not_tried_for_ever(
    server: ScriptedServer,
) -> None:
    """A stale watch cache lists version 10 again and again, and 10 is expired."""
    server.will_list(listed(10), listed(70)).will_refuse(expired())
    await run_for(follow(server), 10)
    assert server.requests == ["list '0'", "watch '10'", "list '' limit 500", "watch '70'"]


async def test_a_relist_after_410_deletes_what_vanished(server: ScriptedServer) -> None:
    server.will_list(listed(10, thing("kept", 3), thing("vanished", 4)), listed(50, thing("kept", 3)))
    server.will_watch(bookmark(11), 5.0, error(410, "Expired"))
    informer, diary = follow(server), Diary()
    informer.add_handler(diary)
    await run_for(informer, 10)
    assert names(informer) == ["kept"]
    assert diary.entries[2:] == ["delete vanished unseen"]


# --- G9 timeouts ---


async def test_g9_each_watch_asks_for_a_timeout_between_5_and_10_minutes_drawn_anew() -> None:
    server = ScriptedServer().will_list(listed(10))
    for rv in range(11, 61):
        server.will_watch(bookmark(rv), CLOSE)
    await run_for(follow(server, rng=random.Random(7)), 1)
    timeouts = [details["timeout_seconds"] for details in server.details[1:]]
    assert len(timeouts) == 51
    assert all(300 <= timeout <= 600 for timeout in timeouts)
    assert len(set(timeouts)) > 30


async def test_g9_a_stream_that_outlives_its_timeout_is_a_dead_connection(server: ScriptedServer) -> None:
    """Nothing comes and nothing is closed: a load balancer dropped the connection without a word."""
    server.will_list(listed(10)).will_watch()
    await run_for(follow(server), 400)
    assert server.requests == ["list '0'", "watch '10'", "watch '10'"]
    assert list(server.waits())[1] == pytest.approx(305, abs=1)
    assert server.open_watches == 0


async def test_g9_a_stream_that_had_bookmarks_may_not_fall_silent_for_long(server: ScriptedServer) -> None:
    server.will_list(listed(10)).will_watch(5.0, bookmark(12))
    await run_for(follow(server), 200)
    assert server.requests == ["list '0'", "watch '10'", "watch '12'"]
    assert list(server.waits())[1] == pytest.approx(155, abs=1.1)


async def test_g9_a_busy_stream_is_left_alone(server: ScriptedServer) -> None:
    lines: list[Any] = []
    for rv in range(11, 21):
        lines += [29.0, added(f"t{rv}", rv)]
    server.will_list(listed(10)).will_watch(*lines, CLOSE)
    informer = follow(server)
    await run_for(informer, 290.5)
    assert server.requests == ["list '0'", "watch '10'", "watch '20'"]
    assert len(informer) == 10


async def test_g9_a_watch_that_is_never_answered_counts_as_refused(server: ScriptedServer) -> None:
    server.will_list(listed(10)).will_hang()
    await run_for(follow(server), 60)
    assert server.requests == ["list '0'", "watch '10'", "watch '10'"]
    assert list(server.waits()) == [0, 30.8]


# --- G10 backoff ---


async def test_g10_delays_double_from_800_ms_up_to_30_s(server: ScriptedServer) -> None:
    server.will_list(*[api_error(500, "InternalError") for _ in range(9)])
    await run_for(follow(server), 200)
    assert list(server.waits())[:8] == [0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0, 30.0]


async def test_g10_jitter_stretches_each_delay_up_to_twofold() -> None:
    backoff = Backoff(lambda: 0.0, random.Random(3))
    first = [Backoff(lambda: 0.0, random.Random(seed)).next_delay() for seed in range(200)]
    assert 0.8 <= min(first) < 0.85
    assert 1.55 < max(first) <= 1.6
    assert max(backoff.next_delay() for _ in range(100)) <= 60.0


async def test_g10_two_calm_minutes_end_the_series_of_failures() -> None:
    now = 0.0
    backoff = Backoff(lambda: now, NoJitter())
    assert [backoff.next_delay() for _ in range(3)] == [0.8, 1.6, 3.2]
    now += 3.2 + 119
    assert backoff.next_delay() == 6.4
    now += 6.4 + 121
    assert backoff.next_delay() == 0.8


async def test_g10_a_very_short_watch_without_events_relists_under_backoff(server: ScriptedServer) -> None:
    server.will_list(listed(10), listed(11), listed(12)).will_watch(0.2, CLOSE).will_watch(CLOSE)
    await run_for(follow(server), 60)
    assert server.requests == ["list '0'", "watch '10'", "list '10'", "watch '11'", "list '11'", "watch '12'"]
    assert list(server.waits()) == [0, 1.0, 0, 1.6, 0]


async def test_g10_an_ordinary_close_is_followed_by_the_next_watch_at_once(server: ScriptedServer) -> None:
    server.will_list(listed(10)).will_watch(30.0, CLOSE).will_watch(added("a", 12), CLOSE)
    await run_for(follow(server), 60)
    assert server.requests == ["list '0'", "watch '10'", "watch '10'", "watch '12'"]
    assert list(server.waits()) == [0, 30, 0]


async def test_g10_a_server_that_closes_every_watch_at_once_is_not_stormed(server: ScriptedServer) -> None:
    """Thousands of requests a second were seen elsewhere."""
    for rv in range(1000):
        server.will_list(listed(10 + rv)).will_watch(CLOSE)
    await run_for(follow(server), 600)
    assert len(server.requests) < 60


async def test_g10_a_cut_watch_is_resumed_at_once_from_where_it_was(server: ScriptedServer) -> None:
    server.will_list(listed(10)).will_watch(
        added("a", 12), 5.0, Unreachable(0, "Unreachable", "reset by peer")
    )
    server.will_watch(modified("a", 13))
    informer = follow(server)
    await run_for(informer, 10)
    assert server.requests == ["list '0'", "watch '10'", "watch '12'"]
    assert list(server.waits()) == [0, 5.0]
    assert informer.resource_version == "13"


async def test_a_wait_that_the_server_asks_for_is_kept(server: ScriptedServer) -> None:
    server.will_list(api_error(503, "ServiceUnavailable", retry_after=17.0), listed(10))
    await run_for(follow(server), 60)
    assert next(server.waits()) == 17.0


# --- G11 refused at the start of a watch ---


@pytest.mark.parametrize(
    "failure",
    [refused(), DeadlineExceeded(0, "DeadlineExceeded", ""), api_error(429, "TooManyRequests")],
    ids=["connection refused", "no answer", "429"],
)
async def test_g11_a_refused_watch_is_tried_again_without_a_list(
    server: ScriptedServer, failure: ApiError
) -> None:
    server.will_list(listed(10)).will_refuse(failure, failure, failure).will_watch(added("a", 11))
    informer = follow(server)
    await run_for(informer, 60)
    assert server.requests == ["list '0'", *["watch '10'"] * 4]
    assert list(server.waits()) == [0, 0.8, 1.6, 3.2]
    assert names(informer) == ["a"]


async def test_g11_a_429_inside_the_stream_is_no_reason_to_relist_either(server: ScriptedServer) -> None:
    server.will_list(listed(10)).will_watch(added("a", 11), 5.0, error(429, "TooManyRequests"))
    await run_for(follow(server), 60)
    assert server.requests == ["list '0'", "watch '10'", "watch '11'"]
    assert list(server.waits()) == [0, 5.8]


@pytest.mark.parametrize(
    ("status", "reason"), [(500, "InternalError"), (403, "Forbidden"), (502, "BadGateway")]
)
async def test_g11_any_other_error_at_the_start_of_a_watch_relists_under_backoff(
    server: ScriptedServer, status: int, reason: str
) -> None:
    server.will_list(listed(10), listed(11)).will_refuse(api_error(status, reason))
    await run_for(follow(server), 60)
    assert server.requests == ["list '0'", "watch '10'", "list '10'", "watch '11'"]
    assert list(server.waits()) == [0, 0.8, 0]


# --- G12 and G13 what a stream may contain ---


async def test_g12_an_error_event_relists_and_drops_what_the_server_can_no_longer_read(
    server: ScriptedServer,
) -> None:
    server.will_list(listed(10, thing("broken", 3), thing("a", 4)), listed(20, thing("a", 4)))
    server.will_watch(
        5.0, error(500, "InternalError", "unable to transform or decode object: StoreReadError")
    )
    informer = follow(server)
    await run_for(informer, 10)
    assert server.requests == ["list '0'", "watch '10'", "list '10'", "watch '20'"]
    assert names(informer) == ["a"]


@pytest.mark.parametrize(
    "odd",
    [
        event("SHRUGGED", thing("x", 12)),
        event(
            "ADDED",
            {"kind": "Gadget", "apiVersion": "v1", "metadata": {"name": "x", "resourceVersion": "12"}},
        ),
        event("ADDED", {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "rows": [], "metadata": {}}),
        event("MODIFIED", {"kind": "Status", "code": 410, "reason": "Expired", "metadata": {}}),
        event("ADDED", {"kind": "Thing", "metadata": {"name": "x"}}),
    ],
    ids=["unknown type", "other kind", "Table", "Status", "no version"],
)
async def test_g13_what_is_no_event_of_ours_is_skipped_and_the_stream_goes_on(
    server: ScriptedServer, odd: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    server.will_list(listed(10)).will_watch(odd, added("a", 13))
    informer = follow(server)
    await run_for(informer, 1)
    assert names(informer) == ["a"]
    assert server.requests == ["list '0'", "watch '10'"]
    assert "things: " in caplog.text


@pytest.mark.parametrize(
    "broken",
    [
        added("x", 12)[:-20],
        b"<html><body>502 Bad Gateway</body></html>",
        added("x", 12) + b"}",
        b'{"type":"ADDED","object":{"kind":"Thing","metadata":{"name":"\xff\xfe"}}}',
        b"[" * 100_000,
        b'{"message":"unauthorized"}',
    ],
    ids=["truncated", "HTML", "trailing bytes", "not UTF-8", "nested too deep", "another JSON"],
)
async def test_g13_a_line_that_cannot_be_decoded_ends_the_stream_and_is_never_half_used(
    server: ScriptedServer, broken: bytes
) -> None:
    server.will_list(listed(10), listed(20, thing("a", 13)))
    server.will_watch(broken, added("never-read", 14))
    informer = follow(server)
    await run_for(informer, 10)
    assert server.requests == ["list '0'", "watch '10'", "list '10'", "watch '20'"]
    assert names(informer) == ["a"]


@pytest.mark.parametrize(
    "body", [b"<html>502</html>", listed(10)[:-5], listed(10, kind="Table"), b"[]", b"{}"]
)
async def test_g13_a_list_that_is_no_list_counts_as_failed(server: ScriptedServer, body: bytes) -> None:
    server.will_list(body, listed(10, thing("a", 3)))
    informer = follow(server)
    await run_for(informer, 5)
    assert server.requests == ["list '0'", "list '0'", "watch '10'"]
    assert names(informer) == ["a"]


async def test_one_object_that_does_not_fit_the_type_blinds_nobody_to_the_others(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    odd = thing("odd", 4) | {"value": "a string"}
    server.will_list(listed(10, odd, thing("a", 3))).will_watch(event("MODIFIED", odd), added("b", 12))
    informer = follow(server)
    await run_for(informer, 1)
    assert names(informer) == ["a", "b"]
    assert "ns/odd" in caplog.text


@pytest.mark.parametrize("watch_list", [False, True])
async def test_an_object_that_becomes_unreadable_is_kept_as_it_was_by_a_relist(
    server: ScriptedServer, watch_list: bool
) -> None:
    odd = thing("odd", 14) | {"value": "a string"}
    server.will_list(listed(10, thing("odd", 4), thing("a", 3)), listed(20, odd))
    end = (bookmark(11), 5.0, error(410, "Expired"))
    if watch_list:
        server.will_watch(added("odd", 4), added("a", 3), bookmark(10, initial_end=True), *end)
        server.will_watch(event("ADDED", odd), bookmark(20, initial_end=True))
    else:
        server.will_watch(*end)
    informer = follow(server, watch_list=watch_list)
    await run_for(informer, 10)
    assert names(informer) == ["odd"]
    assert informer.get("ns", "odd").metadata.resource_version == "4"  # type: ignore[union-attr]


async def test_events_from_the_past_are_never_applied_but_lead_to_a_relist(server: ScriptedServer) -> None:
    """Old events replayed after a reconnect brought deleted objects back to life elsewhere."""
    server.will_list(listed(10), listed(40, thing("a", 30)))
    server.will_watch(added("a", 30), deleted("b", 31), added("b", 12))
    informer, diary = follow(server), Diary()
    informer.add_handler(diary)
    await run_for(informer, 10)
    assert server.requests == ["list '0'", "watch '10'", "list '31'", "watch '40'"]
    assert diary.entries == ["add a"]


async def test_a_line_of_eight_megabytes_is_read_like_any_other(server: ScriptedServer) -> None:
    large = thing("large", 12) | {"padding": "x" * 8_000_000}
    server.will_list(listed(10)).will_watch(event("ADDED", large))
    informer = follow(server)
    await run_for(informer, 1)
    assert names(informer) == ["large"]


# --- G23 never dead without a sign ---


async def test_g23_an_error_in_our_own_code_restarts_the_reflector(
    server: ScriptedServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.will_list(RuntimeError("a bug"), listed(10, thing("a", 3)))
    server.will_watch(added("b", 11), KeyError("another bug")).will_list(listed(20, thing("b", 11)))
    informer = follow(server)
    await run_for(informer, 30)
    assert server.requests == ["list '0'", "list '0'", "watch '10'", "list '11'", "watch '20'"]
    assert names(informer) == ["b"]
    assert "a bug" in caplog.text


async def test_g23_a_cancellation_that_leaks_out_of_the_client_does_not_end_the_informer(
    server: ScriptedServer,
) -> None:
    """A task group takes a cancelled child for one that is done: the watch would be gone without a sign."""
    server.will_list(listed(10))
    server.watches.append((added("a", 11), LEAK))
    server.will_list(listed(20, thing("a", 11)))
    informer = follow(server, resync_period=1e6)
    async with running(informer):
        await asyncio.sleep(30)
    assert server.requests == ["list '0'", "watch '10'", "list '11'", "watch '20'"]


@pytest.mark.parametrize(
    "bug", [RuntimeError("Session is closed"), OSError("no route"), ValueError("line too long")]
)
async def test_g23_no_error_of_the_client_is_the_end_of_a_watch(
    server: ScriptedServer, bug: Exception
) -> None:
    """A session closed by a token rotation once ended every watch of a process for good."""
    server.will_list(bug, listed(10)).will_refuse(bug, bug).will_list(listed(11), listed(12, thing("a", 3)))
    informer = follow(server)
    await run_for(informer, 60)
    assert names(informer) == ["a"]


class Reports(NoInformerMetrics):
    """Writes down what the informer tells."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def listed(self, items: int, seconds: float) -> None:
        self.told.append(f"listed {items} in {seconds:g} s")

    def watch_opened(self, initial: bool) -> None:
        self.told.append("opened, initial" if initial else "opened")

    def watch_ended(self, reason: str) -> None:
        self.told.append(f"ended {reason}")

    def event_received(self, type: str) -> None:  # noqa: A002 - Kubernetes' name
        self.told.append(type)

    def problem(self, reason: str) -> None:
        self.told.append(f"problem: {reason}")


async def test_g23_the_metrics_tell_every_watch_its_end_and_what_went_wrong(server: ScriptedServer) -> None:
    server.will_watch(added("a", 3), 2.0, bookmark(9, initial_end=True), event("SHRUGGED", {}), 1.0, CLOSE)
    server.will_watch(deleted("a", 10), 1.0, Unreachable(0, "Unreachable", "reset"))
    server.will_watch(error(410, "Expired"))
    reports = Reports()
    await run_for(follow(server, watch_list=True, metrics=reports), 400)
    assert reports.told == [
        *("opened, initial", "ADDED", "BOOKMARK", "listed 1 in 2 s", "problem: unknown event type"),
        *("ended closed", "opened", "DELETED", "ended cut"),
        *("opened", "ERROR", "problem: watch expired", "ended broken"),
        *("opened, initial", "problem: initial events late", "ended silent", "problem: watch-list idle"),
    ]


async def test_g23_an_outage_of_hours_ends_in_a_current_cache(server: ScriptedServer) -> None:
    server.will_list(listed(10, thing("old", 3))).will_watch(60.0, refused())
    server.will_refuse(*[refused() for _ in range(500)], expired()).will_list(listed(900, thing("new", 800)))
    informer = follow(server)
    await run_for(informer, 6 * 3600)
    assert names(informer) == ["new"]
    assert server.requests.count("list '10'") + server.requests.count("list '' limit 500") == 1


async def test_g23_last_activity_and_last_step_tell_a_quiet_server_from_a_stuck_loop(
    server: ScriptedServer,
) -> None:
    server.will_list(listed(10)).will_watch(bookmark(11))
    server.will_refuse(*[refused() for _ in range(100)])
    informer = follow(server)
    async with running(informer):
        await asyncio.sleep(1000)
        assert loop_clock() - informer.last_activity > 900, "the server has not been heard of since"
        assert loop_clock() - informer.last_step < STUCK_AFTER, "and yet the loop goes on"
        assert informer.state == "BackingOff"


async def test_g23_a_silent_watch_is_no_stuck_loop(server: ScriptedServer) -> None:
    server.will_list(listed(10))
    informer = Informer(server, THINGS, Thing, watch_list=False, rng=random.Random(1))
    async with running(informer):
        for _ in range(200):
            await asyncio.sleep(30)
            assert loop_clock() - informer.last_step < STUCK_AFTER


@pytest.mark.parametrize("seconds", [0.0, 0.5, 2.0, 3.5, 6.0])
async def test_cancelling_ends_the_informer_wherever_it_is(server: ScriptedServer, seconds: float) -> None:
    server.will_list(api_error(500, "InternalError"), listed(10)).will_watch(1.0, added("a", 11), 1.0, CLOSE)
    informer = follow(server)
    task = asyncio.create_task(informer.run())
    await asyncio.sleep(seconds)
    task.cancel()
    async with asyncio.timeout(1):
        await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    assert server.open_watches == 0
