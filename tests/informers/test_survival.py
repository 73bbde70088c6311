"""A reflector never dies silently, and says how it is (G23)."""

from __future__ import annotations

import asyncio
import random

import pytest

from informers.informer import Informer
from informers.metrics import NoInformerMetrics
from informers.reflector import STUCK_AFTER
from informers.timing import loop_clock
from kube.errors import Unreachable
from tests.informers.scripted import (
    CLOSE,
    LEAK,
    THINGS,
    ScriptedServer,
    Thing,
    added,
    api_error,
    bookmark,
    deleted,
    error,
    event,
    expired,
    follow,
    listed,
    names,
    refused,
    run_for,
    running,
    thing,
)

pytestmark = pytest.mark.looptime


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
