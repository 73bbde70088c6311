"""Who gets in, who waits, who comes back."""

import asyncio
from contextlib import AsyncExitStack

import pytest

from validation_image.admission import Admission, Busy


async def test_places_then_queue_then_come_back() -> None:
    admission = Admission(concurrency=2, queue=1)
    async with AsyncExitStack() as inside:
        for _ in range(2):
            await inside.enter_async_context(admission.turn())

        async def third() -> None:
            async with admission.turn():
                pass

        waiting = asyncio.create_task(third())
        await asyncio.sleep(0)
        assert (admission.working, admission.waiting) == (2, 1)
        with pytest.raises(Busy) as refusal:
            async with admission.turn():
                pass
        assert refusal.value.retry_after >= 1
    await waiting
    assert (admission.working, admission.waiting) == (0, 0)


async def test_who_gives_up_waiting_leaves_the_queue() -> None:
    admission = Admission(concurrency=1, queue=1)
    async with admission.turn():
        waiting = asyncio.create_task(admission.turn().__aenter__())
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert admission.waiting == 0
    async with admission.turn():
        assert admission.working == 1


async def test_an_error_inside_gives_the_place_back() -> None:
    admission = Admission(concurrency=1, queue=0)
    with pytest.raises(LookupError):
        async with admission.turn():
            raise LookupError
    async with admission.turn():
        pass


@pytest.mark.looptime
async def test_the_longer_turns_take_the_later_one_is_asked_back() -> None:
    clock = asyncio.get_running_loop().time
    admission = Admission(concurrency=1, queue=0, clock=clock)
    for _ in range(50):
        async with admission.turn():
            await asyncio.sleep(8)
    async with admission.turn():
        with pytest.raises(Busy) as refusal:
            async with admission.turn():
                pass
    assert refusal.value.retry_after == 8
