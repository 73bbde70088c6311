"""How a watch is kept, resumed and given up (G3, G5, G6, G9-G11): exact requests on virtual time."""

from __future__ import annotations

import random
from typing import Any

import pytest

from informers.backoff import Backoff
from kube.errors import ApiError, DeadlineExceeded, Unreachable
from tests.informers.scripted import (
    CLOSE,
    Diary,
    NoJitter,
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
    thing,
)

pytestmark = pytest.mark.looptime


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
