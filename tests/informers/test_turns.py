"""Nobody holds the event loop for long (H2): whatever comes in thousands is taken in slices.

A loop that stands still renews no lease and answers no probe. Counted in turns, not in seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from informers import Informer, handlers
from informers.cache import RESYNC_SLICE
from informers.handlers import SLICE
from informers.reflector import LINES_A_TURN
from tests.informers.scripted import (
    Diary,
    ScriptedServer,
    Thing,
    added,
    bookmark,
    error,
    follow,
    listed,
    running,
    thing,
)

pytestmark = pytest.mark.looptime

MANY = 4 * SLICE


class Listener(Diary):
    """Counts how many calls came in a row before somebody else had a turn."""

    def __init__(self) -> None:
        super().__init__()
        self.row = 0
        self.longest_row = 0

    def on_add(self, obj: Thing, initial: bool) -> None:
        super().on_add(obj, initial)
        self.row += 1
        self.longest_row = max(self.longest_row, self.row)

    def on_update(self, old: Thing, new: Thing) -> None:
        self.on_add(new, False)

    async def interrupt(self) -> None:
        """Somebody else, who wants a turn whenever there is one."""
        while True:
            self.row = 0
            await asyncio.sleep(0)


@asynccontextmanager
async def interrupted(informer: Informer[Thing]) -> AsyncIterator[Listener]:
    """The informer, running, with a handler and somebody else who wants turns, too."""
    listener = Listener()
    informer.add_handler(listener)
    somebody_else = asyncio.create_task(listener.interrupt())
    async with running(informer):
        try:
            yield listener
        finally:
            somebody_else.cancel()


async def until(true: Callable[[], bool], turn: Callable[[], Awaitable[None]]) -> None:
    for _ in range(100 * MANY):
        if true():
            return
        await turn()
    raise AssertionError("it did not come")


async def a_turn() -> None:
    await asyncio.sleep(0)


def many(rv: int) -> bytes:
    return listed(rv, *[thing(f"t{number}", rv) for number in range(MANY)])


async def test_h2_a_long_list_is_told_in_slices(server: ScriptedServer) -> None:
    server.will_list(many(10))
    informer = follow(server)
    async with interrupted(informer) as listener:
        await until(lambda: informer.synced, a_turn)
        assert len(listener.entries) == MANY
        assert listener.longest_row <= SLICE


async def test_h2_a_relist_is_told_in_slices(server: ScriptedServer) -> None:
    server.will_list(many(10), many(20)).will_watch(error(410, "Expired"))
    informer = follow(server, sleep=lambda _seconds: a_turn())
    async with interrupted(informer) as listener:
        await until(lambda: len(listener.entries) == 2 * MANY, a_turn)
        assert listener.longest_row <= SLICE


async def test_h2_initial_events_are_told_in_slices(server: ScriptedServer) -> None:
    lines = [added(f"t{number}", 1 + number) for number in range(MANY)]
    server.will_watch(*lines, bookmark(MANY + 1, initial_end=True))
    informer = follow(server, watch_list=True)
    async with interrupted(informer) as listener:
        await until(lambda: informer.synced, a_turn)
        assert len(listener.entries) == MANY
        assert listener.longest_row <= SLICE


async def test_a_loop_that_stands_still_while_initial_events_are_told_loses_none(
    server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deadline is for the server's silence. Had it ended the telling, nobody would go on with it later."""

    async def a_long_turn() -> None:
        await asyncio.sleep(1000)

    monkeypatch.setattr(handlers, "let_others_run", a_long_turn)
    lines = [added(f"t{number}", 1 + number) for number in range(MANY)]
    server.will_watch(*lines, bookmark(MANY + 1, initial_end=True))
    informer, diary = follow(server, watch_list=True), Diary()
    informer.add_handler(diary)
    async with running(informer):
        await asyncio.sleep(10_000)
        assert len(diary.entries) == MANY
        assert informer.synced


async def test_h2_a_burst_of_events_is_taken_in_slices(server: ScriptedServer) -> None:
    server.will_list(listed(10)).will_watch(*[added(f"t{number}", 11 + number) for number in range(MANY)])
    informer = follow(server)
    async with interrupted(informer) as listener:
        await until(lambda: len(listener.entries) == MANY, a_turn)
        assert listener.longest_row <= LINES_A_TURN


async def test_h2_a_resync_is_told_in_slices(server: ScriptedServer) -> None:
    server.will_list(many(10))
    informer = follow(server)
    async with interrupted(informer) as listener:
        await until(lambda: informer.synced, a_turn)
        listener.longest_row = 0
        await informer.resync()
        assert len(listener.entries) == 2 * MANY
        assert listener.longest_row <= RESYNC_SLICE
