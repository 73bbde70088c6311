"""Work beside the passes, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from reconcilers.job.errands import Errands

pytestmark = pytest.mark.looptime


def taking(
    seconds: float, result: str = "done", counter: list[str] | None = None
) -> Callable[[], Awaitable[str]]:
    async def work() -> str:
        if counter is not None:
            counter.append(result)
        await asyncio.sleep(seconds)
        return result

    return work


async def test_a_short_errand_is_waited_for() -> None:
    async with Errands[str]() as errands:
        assert await errands.outcome("a", taking(0.1), wait=0.25, done=pytest.fail) == "done"


async def test_a_long_errand_calls_back_once_however_often_it_is_asked_for() -> None:
    calls: list[str] = []
    started: list[str] = []
    async with Errands[str]() as errands:
        for _ in range(3):
            outcome = await errands.outcome(
                "a", taking(5, counter=started), wait=0.25, done=lambda: calls.append("a")
            )
            assert outcome is None
        assert calls == []
        await asyncio.sleep(5)
        assert calls == ["a"]
        assert started == ["done"]
        assert await errands.outcome("a", taking(5), wait=0.25, done=pytest.fail) == "done"


async def test_an_errand_that_fails_fails_whoever_asks_and_can_be_tried_again() -> None:
    async def broken() -> str:
        raise ValueError("no")

    async with Errands[str]() as errands:
        with pytest.raises(ValueError, match="no"):
            await errands.outcome("a", broken, wait=1, done=pytest.fail)
        assert await errands.outcome("a", taking(0), wait=1, done=pytest.fail) == "done"


async def test_a_discarded_errand_is_ended_and_forgotten() -> None:
    ended: list[str] = []

    async def work() -> str:
        try:
            await asyncio.sleep(100)
        finally:
            ended.append("a")
        return "done"

    async with Errands[str]() as errands:
        assert await errands.outcome("a", work, wait=0.25, done=lambda: None) is None
        errands.discard("a")
        await asyncio.sleep(0.1)
        assert ended == ["a"]
        assert await errands.outcome("a", taking(0, "anew"), wait=1, done=pytest.fail) == "anew"


async def test_errands_end_with_their_owner() -> None:
    async with asyncio.timeout(10):
        async with Errands[str]() as errands:
            assert await errands.outcome("a", taking(1000), wait=0.25, done=lambda: None) is None


async def test_only_so_many_are_under_way_at_once() -> None:
    running: list[int] = [0, 0]

    async def work() -> str:
        running[0] += 1
        running[1] = max(running)
        await asyncio.sleep(1)
        running[0] -= 1
        return "done"

    async with Errands[str](at_once=3) as errands:
        outcomes = [errands.outcome(str(n), work, wait=10, done=pytest.fail) for n in range(9)]
        assert await asyncio.gather(*outcomes) == ["done"] * 9
    assert running[1] == 3


async def test_a_pass_that_is_cancelled_leaves_its_errand_alone() -> None:
    async with Errands[str]() as errands:
        asking = asyncio.create_task(errands.outcome("a", taking(5), wait=10, done=lambda: None))
        await asyncio.sleep(1)
        asking.cancel()
        await asyncio.wait((asking,))
        assert await errands.outcome("a", taking(0, "another"), wait=10, done=pytest.fail) == "done"
