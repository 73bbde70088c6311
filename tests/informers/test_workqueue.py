"""What the work queue promises (G24-G31), on virtual time."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest

from informers.retry_delay import RetryDelay, TokenBucket
from informers.timing import loop_clock
from informers.workqueue import HEARTBEAT, PRIORITY_INITIAL, ShutDown, WorkQueue

pytestmark = pytest.mark.looptime


class CountingMetrics:
    """Writes down what the queue tells."""

    def __init__(self) -> None:
        self.adds: list[int] = []
        self.depths: dict[int, int] = {}
        self.waits: list[float] = []
        self.works: list[float] = []
        self.retries = 0

    def added(self, priority: int) -> None:
        self.adds.append(priority)

    def depth_changed(self, priority: int, depth: int) -> None:
        self.depths[priority] = depth

    def waited(self, seconds: float) -> None:
        self.waits.append(seconds)

    def worked(self, seconds: float) -> None:
        self.works.append(seconds)

    def retried(self) -> None:
        self.retries += 1


@pytest.fixture
def queue() -> WorkQueue[str]:
    return WorkQueue()


async def take_all(queue: WorkQueue[str]) -> list[str]:
    """Takes and finishes every ready key."""
    taken = []
    while len(queue):
        key = await queue.get()
        taken.append(key)
        queue.done(key)
    return taken


async def test_g24_a_key_is_queued_at_most_once(queue: WorkQueue[str]) -> None:
    for _ in range(3):
        queue.add("a")
    assert await take_all(queue) == ["a"]


async def test_g24_a_key_added_while_it_is_worked_on_waits_for_done_and_then_comes_again(
    queue: WorkQueue[str],
) -> None:
    queue.add("a")
    key = await queue.get()
    queue.add("a")
    queue.add("a")
    assert len(queue) == 0
    second = asyncio.create_task(queue.get())
    await asyncio.sleep(5)
    assert not second.done()
    queue.done(key)
    assert await second == "a"
    queue.done("a")
    assert len(queue) == 0


async def test_g24_an_add_between_get_and_done_is_never_lost(queue: WorkQueue[str]) -> None:
    """The lost wake-up: all workers wait, the last done and the add fall together."""
    passes = 0

    async def work() -> None:
        nonlocal passes
        with contextlib.suppress(ShutDown):
            while True:
                key = await queue.get()
                await asyncio.sleep(0)
                passes += 1
                if passes < 100:
                    queue.add(key)
                queue.done(key)
                if passes == 100:
                    queue.shut_down()

    async with asyncio.timeout(60), asyncio.TaskGroup() as workers:
        for _ in range(4):
            workers.create_task(work())
        queue.add("a")
    assert passes == 100


async def test_g24_a_getter_that_is_cancelled_in_the_moment_it_is_woken_passes_the_key_on(
    queue: WorkQueue[str],
) -> None:
    cancelled = asyncio.create_task(queue.get())
    patient = asyncio.create_task(queue.get())
    await asyncio.sleep(1)
    queue.add("a")
    cancelled.cancel()
    async with asyncio.timeout(1):
        assert await patient == "a"
    assert cancelled.cancelled() or (await asyncio.gather(cancelled, return_exceptions=True))


async def test_g24_getters_that_gave_up_do_not_swallow_wake_ups(queue: WorkQueue[str]) -> None:
    for _ in range(3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await queue.get()
    patient = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    async with asyncio.timeout(1):
        assert await patient == "a"


async def test_done_without_get_is_a_programming_error(queue: WorkQueue[str]) -> None:
    with pytest.raises(ValueError, match="without get"):
        queue.done("a")


async def test_g25_keys_come_in_the_order_in_which_they_were_added(queue: WorkQueue[str]) -> None:
    for key in "cab":
        queue.add(key)
    assert await take_all(queue) == ["c", "a", "b"]


async def test_g25_a_hot_key_goes_to_the_tail_and_starves_nobody(queue: WorkQueue[str]) -> None:
    queue.add("hot")
    queue.add("b")
    queue.add("c")
    order = []
    for _ in range(4):
        key = await queue.get()
        order.append(key)
        if key == "hot":
            queue.add("hot")
        queue.done(key)
    assert order == ["hot", "b", "c", "hot"]


async def test_g26_the_earliest_of_several_delays_counts(queue: WorkQueue[str]) -> None:
    start = loop_clock()
    queue.add_after("a", 50)
    queue.add_after("a", 3)
    queue.add_after("a", 20)
    assert await queue.get() == "a"
    assert loop_clock() - start == pytest.approx(3, abs=0.01)
    queue.done("a")
    assert queue.delayed == 0


async def test_g26_an_immediate_add_swallows_the_delayed_one(queue: WorkQueue[str]) -> None:
    queue.add_after("a", 5)
    queue.add("a")
    assert await take_all(queue) == ["a"]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(60):
            await queue.get()


async def test_g26_a_delay_that_ends_while_the_key_is_worked_on_is_kept_for_later(
    queue: WorkQueue[str],
) -> None:
    queue.add("a")
    key = await queue.get()
    queue.add_after("a", 1)
    await asyncio.sleep(30)
    assert len(queue) == 0
    queue.done(key)
    assert await queue.get() == "a"


async def test_g26_delays_that_are_zero_or_past_are_immediate(queue: WorkQueue[str]) -> None:
    queue.add_after("a", 0)
    queue.add_after("b", -7)
    assert await take_all(queue) == ["a", "b"]


async def test_g26_the_heartbeat_finds_keys_that_the_timer_would_have_missed() -> None:
    """A clock that jumps ahead of the loop's timers, as after a suspended machine."""
    ahead = 0.0
    queue = WorkQueue[str](clock=lambda: loop_clock() + ahead)
    queue.add_after("a", 3600)
    getter = asyncio.create_task(queue.get())
    await asyncio.sleep(1)
    ahead = 3600
    async with asyncio.timeout(HEARTBEAT + 1):
        assert await getter == "a"


async def test_g27_each_failure_doubles_the_wait_up_to_the_cap() -> None:
    delay = RetryDelay[str]()
    waits = [delay.next_delay("a") for _ in range(20)]
    assert waits[:4] == [0.005, 0.010, 0.020, 0.040]
    assert waits[17] == pytest.approx(655.36)
    assert waits[18:] == [1000.0, 1000.0]


async def test_g27_a_key_that_fails_for_years_does_not_overflow() -> None:
    delay = RetryDelay[str]()
    for _ in range(5000):
        last = delay.next_delay("a")
    assert last == 1000.0


async def test_g27_the_bucket_slows_retries_and_never_plain_adds() -> None:
    bucket = TokenBucket(loop_clock, rate=10, burst=2)
    queue = WorkQueue[str](retry_delay=RetryDelay(bucket=bucket))
    start = loop_clock()
    for key in "abcd":
        queue.add_rate_limited(key)
    queue.add("now")
    assert await queue.get() == "now"
    assert loop_clock() - start == pytest.approx(0, abs=0.001)
    times = []
    for _ in "abcd":
        key = await queue.get()
        times.append(loop_clock() - start)
        queue.done(key)
    assert times == pytest.approx([0.005, 0.005, 0.1, 0.2], abs=0.002)


async def test_g27_the_bucket_refills_no_further_than_its_burst() -> None:
    bucket = TokenBucket(loop_clock, rate=10, burst=2)
    await asyncio.sleep(1000)
    assert [bucket.reserve() for _ in range(3)] == [0.0, 0.0, pytest.approx(0.1)]


async def test_g28_forget_ends_the_series_of_failures(queue: WorkQueue[str]) -> None:
    for _ in range(5):
        queue.add_rate_limited("a")
    assert queue.failures("a") == 5
    queue.forget("a")
    assert queue.failures("a") == 0


async def test_g28_keys_that_succeed_leave_nothing_behind() -> None:
    delay = RetryDelay[str]()
    queue = WorkQueue[str](retry_delay=delay)
    for number in range(100):
        queue.add_rate_limited(f"key-{number}")
    for _ in range(100):
        key = await queue.get()
        queue.forget(key)
        queue.done(key)
    assert len(delay) == 0


async def test_g29_changes_come_before_what_was_there_at_the_start(queue: WorkQueue[str]) -> None:
    queue.add("old-1", PRIORITY_INITIAL)
    queue.add("old-2", PRIORITY_INITIAL)
    queue.add("new")
    assert await take_all(queue) == ["new", "old-1", "old-2"]


async def test_g29_a_raised_key_goes_to_the_tail_of_its_new_level(queue: WorkQueue[str]) -> None:
    queue.add("low", PRIORITY_INITIAL)
    queue.add("raised", PRIORITY_INITIAL)
    queue.add("high")
    queue.add("raised")
    assert await take_all(queue) == ["high", "raised", "low"]


async def test_g29_a_later_request_of_lower_priority_lowers_nothing(queue: WorkQueue[str]) -> None:
    queue.add("a")
    queue.add("b")
    queue.add("a", PRIORITY_INITIAL)
    assert await take_all(queue) == ["a", "b"]


async def test_g29_a_delayed_key_takes_the_highest_priority_it_was_given(queue: WorkQueue[str]) -> None:
    queue.add_after("a", 1, PRIORITY_INITIAL)
    queue.add_after("a", 2, 7)
    await asyncio.sleep(3)
    assert queue.depth(7) == 1


async def test_g29_delayed_keys_queue_up_in_the_order_in_which_they_became_ready(
    queue: WorkQueue[str],
) -> None:
    queue.add_after("late", 3)
    queue.add_after("early", 1)
    queue.add_after("middle", 2)
    await asyncio.sleep(5)
    assert await take_all(queue) == ["early", "middle", "late"]


async def test_g29_a_requeue_keeps_the_priority_unless_told_otherwise(queue: WorkQueue[str]) -> None:
    queue.add("a", PRIORITY_INITIAL)
    key = await queue.get()
    queue.add_rate_limited(key)
    queue.done(key)
    await asyncio.sleep(1)
    assert queue.depth(PRIORITY_INITIAL) == 1
    key = await queue.get()
    queue.add_after(key, 1, 5)
    queue.done(key)
    await asyncio.sleep(2)
    assert queue.depth(5) == 1


async def test_g30_after_shutdown_adds_are_ignored_and_ready_keys_still_handed_out(
    queue: WorkQueue[str],
) -> None:
    queue.add("a")
    queue.shut_down()
    queue.add("b")
    queue.add_after("c", 1)
    queue.add_rate_limited("d")
    assert await queue.get() == "a"
    queue.done("a")
    with pytest.raises(ShutDown):
        await queue.get()
    assert queue.failures("d") == 0


async def test_g30_delayed_keys_are_dropped_at_shutdown(queue: WorkQueue[str]) -> None:
    queue.add_after("a", 1)
    queue.shut_down()
    with pytest.raises(ShutDown):
        await queue.get()
    await asyncio.sleep(20)
    assert len(queue) == 0
    assert queue.delayed == 0


async def test_g30_shutdown_wakes_every_waiting_getter(queue: WorkQueue[str]) -> None:
    getters = [asyncio.create_task(queue.get()) for _ in range(5)]
    await asyncio.sleep(1)
    queue.shut_down()
    async with asyncio.timeout(1):
        results = await asyncio.gather(*getters, return_exceptions=True)
    assert all(isinstance(result, ShutDown) for result in results)


async def test_g30_drain_waits_for_keys_in_workers_hands(queue: WorkQueue[str]) -> None:
    queue.add("a")
    key = await queue.get()
    drain = asyncio.create_task(queue.drain())
    await asyncio.sleep(10)
    assert not drain.done()
    queue.done(key)
    async with asyncio.timeout(1):
        await drain


async def test_g30_drain_waits_for_keys_that_were_added_again_while_worked_on(
    queue: WorkQueue[str],
) -> None:
    queue.add("a")
    key = await queue.get()
    queue.add("a")
    drain = asyncio.create_task(queue.drain())
    await asyncio.sleep(1)
    queue.done(key)
    await asyncio.sleep(1)
    assert not drain.done()
    assert await queue.get() == "a"
    queue.done("a")
    async with asyncio.timeout(1):
        await drain


async def test_g30_drain_of_an_idle_queue_returns_at_once(queue: WorkQueue[str]) -> None:
    async with asyncio.timeout(1):
        await queue.drain()


async def test_g31_metrics_tell_depth_waits_work_and_retries() -> None:
    metrics = CountingMetrics()
    queue = WorkQueue[str](metrics=metrics)
    queue.add("a")
    queue.add("a")
    queue.add("b", PRIORITY_INITIAL)
    assert metrics.adds == [0, PRIORITY_INITIAL]
    assert metrics.depths == {0: 1, PRIORITY_INITIAL: 1}
    await asyncio.sleep(2)
    key = await queue.get()
    assert metrics.waits == [pytest.approx(2)]
    await asyncio.sleep(3)
    assert queue.unfinished_seconds == pytest.approx(3)
    assert queue.longest_running_seconds == pytest.approx(3)
    queue.add_rate_limited(key)
    queue.done(key)
    assert metrics.works == [pytest.approx(3)]
    assert metrics.retries == 1
    assert metrics.depths == {0: 0, PRIORITY_INITIAL: 1}
    assert queue.longest_running_seconds == 0.0


async def test_a_worker_may_requeue_into_the_queue_that_it_drains(queue: WorkQueue[str]) -> None:
    """A bounded requeue buffer can deadlock its only reader; this one has no bound."""
    seen: dict[str, int] = {}

    async def work() -> None:
        while sum(seen.values()) < 1500:
            key = await queue.get()
            seen[key] = seen.get(key, 0) + 1
            if seen[key] < 3:
                queue.add_after(key, 0.001)
            queue.done(key)

    for number in range(500):
        queue.add(f"key-{number}")
    async with asyncio.timeout(10):
        await work()
    assert set(seen.values()) == {3}


async def test_an_enormous_delay_breaks_nothing(queue: WorkQueue[str]) -> None:
    queue.add_after("a", 10.0**12)
    queue.add_after("b", 1)
    assert await queue.get() == "b"


async def test_rescheduling_a_delayed_key_again_and_again_does_not_grow_memory(
    queue: WorkQueue[str],
) -> None:
    for step in range(10_000):
        queue.add_after("a", 100_000 - step)
    assert len(queue._schedule._heap) < 100


async def test_taking_from_a_long_queue_costs_the_same_at_its_end(queue: WorkQueue[str]) -> None:
    """50,000 keys of one level: a plain dict would walk over the holes of all those taken before."""
    for number in range(50_000):
        queue.add(f"key-{number}")
    costs = []
    for _ in range(50):
        began = time.thread_time()
        for _ in range(1000):
            queue.done(await queue.get())
        costs.append(time.thread_time() - began)
    assert min(costs[-5:]) < 5 * max(costs[:5])
