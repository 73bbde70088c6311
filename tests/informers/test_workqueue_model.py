"""The work queue against a simple model, and hammered by many workers in shuffled order (G24-G30, H7)."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import looptime
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from informers.timing import loop_clock
from informers.workqueue import ShutDown, WorkQueue
from tests.informers.shuffled import run_shuffled


class VirtualLoop(looptime.LoopTimeEventLoop, asyncio.SelectorEventLoop):  # type: ignore[misc]
    """Virtual time."""


KEYS = st.sampled_from("abcde")
PRIORITIES = st.sampled_from([-100, 0, 7])
DELAYS = st.integers(min_value=1, max_value=30)


class QueueMachine(RuleBasedStateMachine):
    """Random calls, whole seconds apart, against lists that are searched from end to end."""

    @initialize()
    def begin(self) -> None:
        self.runner = asyncio.Runner(loop_factory=VirtualLoop)
        self.queue = WorkQueue[str]()
        self.now = 0
        self.pushes = 0
        self.priority: dict[str, int] = {}
        self.due: dict[str, tuple[int, int]] = {}
        self.levels: dict[int, list[str]] = {-100: [], 0: [], 7: []}
        self.working: list[str] = []
        self.failures: Counter[str] = Counter()

    def teardown(self) -> None:
        if hasattr(self, "runner"):
            self.runner.close()

    def within(self, call: Any, *arguments: Any) -> Any:
        async def main() -> Any:
            return call(*arguments)

        return self.runner.run(main())

    def line_up(self, key: str) -> None:
        if key not in self.working:
            self.levels[self.priority[key]].append(key)

    def leave_line(self, key: str) -> None:
        for level in self.levels.values():
            if key in level:
                level.remove(key)

    @rule(key=KEYS, priority=PRIORITIES)
    def add(self, key: str, priority: int) -> None:
        self.within(self.queue.add, key, priority)
        if key not in self.priority or key in self.due:
            self.due.pop(key, None)
            self.priority[key] = max(priority, self.priority.get(key, priority))
            self.line_up(key)
        elif priority > self.priority[key]:
            self.leave_line(key)
            self.priority[key] = priority
            self.line_up(key)

    @rule(key=KEYS, delay=DELAYS, priority=PRIORITIES)
    def add_after(self, key: str, delay: int, priority: int) -> None:
        self.within(self.queue.add_after, key, float(delay), priority)
        self.pushes += 1
        due = self.now + delay
        if key not in self.priority:
            self.priority[key] = priority
            self.due[key] = (due, self.pushes)
        elif key in self.due:
            self.priority[key] = max(priority, self.priority[key])
            if due < self.due[key][0]:
                self.due[key] = (due, self.pushes)
        elif priority > self.priority[key]:
            self.leave_line(key)
            self.priority[key] = priority
            self.line_up(key)

    @rule(seconds=DELAYS)
    def time_passes(self, seconds: int) -> None:
        self.runner.run(asyncio.sleep(seconds))
        self.now += seconds
        for key in sorted(self.due, key=lambda key: self.due[key]):
            if self.due[key][0] <= self.now:
                del self.due[key]
                self.line_up(key)

    @rule()
    def take(self) -> None:
        ready = [key for priority in (7, 0, -100) for key in self.levels[priority]]

        async def get() -> str | None:
            try:
                async with asyncio.timeout(0):
                    return await self.queue.get()
            except TimeoutError:
                return None

        taken = self.runner.run(get())
        assert taken == (ready[0] if ready else None)
        if taken is not None:
            self.leave_line(taken)
            del self.priority[taken]
            self.working.append(taken)

    @precondition(lambda self: self.working)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(self.working))
        self.within(self.queue.done, key)
        self.working.remove(key)
        if key in self.priority and key not in self.due:
            self.line_up(key)

    @invariant()
    def counts_agree(self) -> None:
        if hasattr(self, "queue"):
            for priority, level in self.levels.items():
                assert self.queue.depth(priority) == len(level)
            assert self.queue.delayed == len(self.due)


TestQueueMachine = QueueMachine.TestCase
TestQueueMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


async def hammer(rng: random.Random, *, keys: int, workers: int, rounds: int) -> None:
    """Adders of every kind and workers that fail, requeue and are cancelled.

    Each add raises the key's `wanted`; a worker that starts on a key notes what was wanted then. In the end
    every want must have been seen, and no key may ever have had two workers.
    """
    queue = WorkQueue[int]()
    wanted: Counter[int] = Counter()
    seen: Counter[int] = Counter()
    in_hands: Counter[int] = Counter()

    async def adder() -> None:
        for _ in range(rounds):
            key = rng.randrange(keys)
            wanted[key] += 1
            match rng.randrange(3):
                case 0:
                    queue.add(key, rng.choice([-100, 0, 5]))
                case 1:
                    queue.add_after(key, rng.random() * 20)
                case 2:
                    queue.add_rate_limited(key)
            await asyncio.sleep(rng.choice([0, 0, 0, rng.random()]))

    async def work() -> None:
        while True:
            key = await queue.get()
            in_hands[key] += 1
            assert in_hands[key] == 1, f"two workers on key {key}"
            try:
                seeing = wanted[key]
                await asyncio.sleep(rng.choice([0, 0, rng.random()]))
                if rng.random() < 0.2:
                    queue.add_rate_limited(key)
                else:
                    queue.forget(key)
                    seen[key] = max(seen[key], seeing)
            except asyncio.CancelledError:
                queue.add(key)
                raise
            finally:
                in_hands[key] -= 1
                queue.done(key)

    async def worker() -> None:
        """Is cancelled now and then, also while it waits, and starts again."""
        try:
            while True:
                try:
                    async with asyncio.timeout(rng.random() * 3):
                        await work()
                except TimeoutError:
                    continue
        except ShutDown:
            return

    async with asyncio.TaskGroup() as everybody:
        for _ in range(workers):
            everybody.create_task(worker())
        async with asyncio.TaskGroup() as adders:
            for _ in range(4):
                adders.create_task(adder())
        deadline = loop_clock() + 3600
        while seen != wanted:
            assert loop_clock() < deadline, f"lost: {wanted - seen}"
            await asyncio.sleep(1)
        queue.shut_down()
    assert len(queue) == 0
    assert queue.unfinished_seconds == 0


@pytest.mark.parametrize("seed", range(12))
def test_g24_no_key_is_lost_and_none_has_two_workers_in_whatever_order_tasks_run(seed: int) -> None:
    run_shuffled(seed, lambda rng: hammer(rng, keys=7, workers=5, rounds=150))


@pytest.mark.parametrize("seed", range(3))
def test_g24_one_hot_key_and_many_workers(seed: int) -> None:
    run_shuffled(seed, lambda rng: hammer(rng, keys=1, workers=8, rounds=150))


@pytest.mark.parametrize("seed", range(8))
def test_g30_a_drain_in_the_middle_of_everything_ends_and_finishes_what_was_ready(seed: int) -> None:
    async def main(rng: random.Random) -> None:
        queue = WorkQueue[int]()
        added: set[int] = set()
        finished: set[int] = set()

        async def work() -> None:
            while True:
                try:
                    key = await queue.get()
                except ShutDown:
                    return
                await asyncio.sleep(rng.random())
                finished.add(key)
                queue.done(key)

        async def add() -> None:
            for number in range(200):
                if not queue.closed:
                    queue.add(number)
                    added.add(number)
                await asyncio.sleep(rng.random() * 0.05)

        async with asyncio.timeout(600), asyncio.TaskGroup() as tasks:
            for _ in range(4):
                tasks.create_task(work())
            tasks.create_task(add())
            await asyncio.sleep(rng.random() * 8)
            await queue.drain()
            assert finished == added

    run_shuffled(seed, main)
