"""One term of leadership: what it starts it ends, in the order of G44, and it leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from controller.metric_adapters import QueueAdapter
from controller.metrics import Metrics
from controller.term import Controller, Term
from informers import Key, WorkQueue
from informers.timing import loop_clock
from reconcilers.result import DONE, Result

pytestmark = pytest.mark.looptime

BELL = Key("lab", "bell")


class Source:
    """Something that feeds a queue while it is registered."""

    def __init__(self, journal: list[str]) -> None:
        self.queue: WorkQueue[Key] | None = None
        self.journal = journal

    def subscribe(self, queue: WorkQueue[Key]) -> Sequence[Source]:
        self.queue = queue
        queue.add(BELL)
        return [self]

    def remove(self) -> None:
        if self.queue is not None:
            self.journal.append("source removed, queue closed" if self.queue.closed else "source removed")
        self.queue = None


class Stage:
    def __init__(self, seconds: float = 1.0, grace: float = 30.0) -> None:
        self.journal: list[str] = []
        self.metrics = Metrics()
        self.source = Source(self.journal)
        self.stop = asyncio.Event()
        self.fails = False
        adapter = QueueAdapter(self.metrics, "job")
        self.queue = WorkQueue[Key](metrics=adapter)

        async def reconcile(_: Key) -> Result:
            try:
                await asyncio.sleep(seconds)
            except asyncio.CancelledError:
                self.journal.append("pass cancelled")
                raise
            self.journal.append("pass finished")
            return DONE

        controller = Controller("job", self.queue, adapter, reconcile, self.source.subscribe)
        self.term = Term([controller], self.metrics, may_start=lambda: True, grace=grace)

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"qiskit_operator_{name}", {"queue": "job", **labels})


async def test_a_stop_ends_sources_then_queues_then_workers() -> None:
    stage = Stage(seconds=10)
    task = asyncio.create_task(stage.term.run(stage.stop))
    await asyncio.sleep(1)
    stage.stop.set()
    await task
    assert stage.journal == ["source removed", "pass finished"]
    assert loop_clock() == 10
    assert stage.queue.closed


async def test_passes_that_outlive_the_grace_are_cancelled_and_awaited() -> None:
    stage = Stage(seconds=1000, grace=5)
    task = asyncio.create_task(stage.term.run(stage.stop))
    await asyncio.sleep(1)
    stage.stop.set()
    await task
    assert stage.journal == ["source removed", "pass cancelled"]
    assert loop_clock() == 6


async def test_a_lost_lease_cancels_at_once_and_removes_the_sources() -> None:
    stage = Stage(seconds=1000)
    task = asyncio.create_task(stage.term.run(stage.stop))
    await asyncio.sleep(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stage.journal == ["pass cancelled", "source removed"]
    assert loop_clock() == 1


async def test_a_lost_lease_shuts_the_queues_so_that_nothing_of_the_term_rings_on() -> None:
    stage = Stage()
    task = asyncio.create_task(stage.term.run(stage.stop))
    await asyncio.sleep(1)
    stage.queue.add_after(Key("lab", "later"), 86_400)
    task.cancel()
    await asyncio.wait({task})
    assert stage.queue.closed
    assert stage.queue.delayed == 0


async def test_a_source_that_cannot_be_connected_ends_the_term() -> None:
    stage = Stage()

    def broken(_: WorkQueue[Key]) -> Sequence[Source]:
        raise LookupError("no such index")

    controller = Controller("b", WorkQueue(), QueueAdapter(stage.metrics, "b"), _never, broken)
    term = Term([controller], stage.metrics, may_start=lambda: True, grace=1)
    with pytest.raises(BaseExceptionGroup) as caught:
        await term.run(stage.stop)
    assert caught.group_contains(LookupError)


async def test_a_queue_is_shown_while_its_term_lasts_and_empty_afterwards() -> None:
    stage = Stage(seconds=100, grace=1)
    task = asyncio.create_task(stage.term.run(stage.stop))
    await asyncio.sleep(7)
    stage.queue.add(Key("lab", "next"))
    stage.queue.add_after(Key("lab", "later"), 1000)
    assert stage.value("queue_unfinished_seconds") == 7
    assert stage.value("queue_longest_running_seconds") == 7
    assert stage.value("queue_delayed") == 1
    assert stage.value("queue_depth", priority="0") == 1
    stage.stop.set()
    await task
    for name in ("queue_unfinished_seconds", "queue_longest_running_seconds", "queue_delayed"):
        assert stage.value(name) == 0
    assert stage.value("queue_depth", priority="0") == 0


async def test_a_term_without_controllers_waits_for_the_stop() -> None:
    stop = asyncio.Event()
    task = asyncio.create_task(Term([], Metrics(), may_start=lambda: True, grace=1).run(stop))
    await asyncio.sleep(1)
    assert not task.done()
    stop.set()
    await task


async def _never(_: Key) -> Result:
    raise AssertionError("not reached")
