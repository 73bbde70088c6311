"""What the runner makes of a pass's outcome (G28, G32-G35), with the real queue on virtual time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from controller.metrics import Metrics
from controller.runner import Runner
from informers.key import Key
from informers.timing import loop_clock
from informers.workqueue import PRIORITY_INITIAL, WorkQueue
from reconcilers.result import DONE, Conflict, Result, Retryable, Terminal

pytestmark = pytest.mark.looptime

BELL = Key("lab", "bell")


def metric(metrics: Metrics, name: str, **labels: str) -> float:
    return (
        metrics.registry.get_sample_value(f"qiskit_operator_{name}", {"controller": "job", **labels}) or 0.0
    )


class Script:
    """A reconciler that does what the script says, pass by pass, and then succeeds."""

    def __init__(self, *outcomes: Result | BaseException | Callable[[Key], Awaitable[Result]]) -> None:
        self.outcomes = list(outcomes)
        self.passes: list[tuple[float, Key]] = []

    async def __call__(self, key: Key) -> Result:
        self.passes.append((round(loop_clock(), 3), key))
        outcome = self.outcomes.pop(0) if self.outcomes else DONE
        if isinstance(outcome, BaseException):
            raise outcome
        if isinstance(outcome, Result):
            return outcome
        return await outcome(key)

    @property
    def times(self) -> list[float]:
        return [at for at, _ in self.passes]


@contextlib.asynccontextmanager
async def running(
    reconcile: Callable[[Key], Awaitable[Result]], **options: Any
) -> AsyncIterator[tuple[WorkQueue[Key], Metrics, Runner[Key]]]:
    queue, metrics = WorkQueue[Key](), Metrics()
    runner = Runner("job", queue, reconcile, metrics=metrics, **options)
    task = asyncio.create_task(runner.run())
    try:
        yield queue, metrics, runner
    finally:
        task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.result()


async def test_a_success_forgets_the_failures_and_asks_for_nothing_more() -> None:
    script = Script(ValueError("first time"), DONE)
    async with running(script) as (queue, metrics, _):
        queue.add(BELL)
        await asyncio.sleep(10_000)
        assert script.times == [0.0, 0.005]
        assert queue.failures(BELL) == 0
        assert metric(metrics, "reconcile_total", result="success") == 1


async def test_an_error_outranks_everything_and_is_retried_with_growing_waits() -> None:
    script = Script(ValueError("a"), Retryable("b"), ValueError("c"))
    async with running(script) as (queue, metrics, _):
        queue.add(BELL)
        await asyncio.sleep(100)
        assert script.times == [0.0, 0.005, 0.015, 0.035]
        assert metric(metrics, "reconcile_errors_total") == 3
        assert metric(metrics, "reconcile_total", result="error") == 3


async def test_after_is_a_planned_look_that_forgets_earlier_failures() -> None:
    script = Script(ValueError("a"), Result(after=30), ValueError("b"))
    async with running(script) as (queue, metrics, _):
        queue.add(BELL)
        await asyncio.sleep(1000)
        assert script.times == [0.0, 0.005, 30.005, 30.01], (
            "the second series starts at the first delay again"
        )
        assert metric(metrics, "reconcile_total", result="requeued") == 1


@pytest.mark.parametrize("seconds", [0, -1])
async def test_after_nothing_is_done_and_no_hot_loop(seconds: float) -> None:
    script = Script(Result(after=seconds))
    async with running(script) as (queue, _, _):
        queue.add(BELL)
        await asyncio.sleep(1000)
        assert len(script.passes) == 1


async def test_a_retryable_error_is_not_retried_before_the_time_it_names() -> None:
    script = Script(Retryable("busy", after=7.0), Retryable("busy", after=0.0))
    async with running(script) as (queue, _, _):
        queue.add(BELL)
        await asyncio.sleep(100)
        assert script.times == [0.0, 7.0, 7.01], "and it counts as a failure: the next wait has doubled"


async def test_a_conflict_is_tried_again_soon_and_is_no_error() -> None:
    script = Script(Conflict("stale"))
    async with running(script) as (queue, metrics, _):
        queue.add(BELL)
        await asyncio.sleep(1)
        assert script.times == [0.0, 0.005]
        assert metric(metrics, "reconcile_total", result="conflict") == 1
        assert metric(metrics, "reconcile_errors_total") == 0


async def test_a_terminal_error_is_counted_and_not_retried_until_the_object_changes() -> None:
    script = Script(ValueError("x"), Terminal("impossible"))
    async with running(script) as (queue, metrics, _):
        queue.add(BELL)
        await asyncio.sleep(10_000)
        assert len(script.passes) == 2
        assert metric(metrics, "reconcile_terminal_errors_total") == 1
        assert queue.failures(BELL) == 0, "nothing will retry, so nothing is remembered"
        queue.add(BELL)
        await asyncio.sleep(1)
        assert len(script.passes) == 3


async def test_a_bug_in_a_reconciler_ends_neither_the_worker_nor_the_other_keys() -> None:
    async def reconcile(key: Key) -> Result:
        if key.name == "bad":
            raise AssertionError("a bug")
        seen.append(key.name)
        return DONE

    seen: list[str] = []
    async with running(reconcile) as (queue, metrics, _):
        for name in ("bad", "good", "better"):
            queue.add(Key("lab", name))
        await asyncio.sleep(0.001)
        assert seen == ["good", "better"]
        assert metric(metrics, "reconcile_errors_total") == 1


async def test_a_pass_that_exceeds_the_deadline_is_an_error_with_a_metric_of_its_own() -> None:
    async def forever(_: Key) -> Result:
        await asyncio.sleep(1e6)
        return DONE

    script = Script(forever)
    async with running(script, timeout=5.0) as (queue, metrics, _):
        queue.add(BELL)
        await asyncio.sleep(10)
        assert script.times == [0.0, 5.005]
        assert metric(metrics, "reconcile_timeouts_total") == 1
        assert metric(metrics, "reconcile_errors_total") == 1


async def test_a_timeout_of_the_pass_itself_is_not_the_deadline() -> None:
    script = Script(TimeoutError("the validation service did not answer"))
    async with running(script, timeout=5.0) as (queue, metrics, _):
        queue.add(BELL)
        await asyncio.sleep(1)
        assert metric(metrics, "reconcile_timeouts_total") == 0
        assert metric(metrics, "reconcile_errors_total") == 1


async def test_cancelling_the_runner_is_no_error_and_no_timeout() -> None:
    ended: list[str] = []

    async def slow(_: Key) -> Result:
        try:
            await asyncio.sleep(100)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        return DONE

    async with running(Script(slow), timeout=50.0) as (queue, metrics, _):
        queue.add(BELL)
        await asyncio.sleep(1)
    assert ended == ["cancelled"]
    for outcome in ("success", "requeued", "error", "conflict", "terminal"):
        assert metric(metrics, "reconcile_total", result=outcome) == 0
    assert metric(metrics, "reconcile_timeouts_total") == 0
    assert metric(metrics, "active_workers") == 0


async def test_a_cancellation_that_nobody_asked_for_does_not_end_the_worker() -> None:
    """Else a task that a reconciler awaits, cancelled by somebody else, would silence a worker for good."""
    script = Script(asyncio.CancelledError())
    async with running(script) as (queue, metrics, _):
        queue.add(BELL)
        await asyncio.sleep(1)
        assert len(script.passes) == 2
        assert metric(metrics, "reconcile_errors_total") == 1


@pytest.mark.parametrize("workers", [1, 3])
async def test_n_workers_mean_n_keys_at_once_and_no_key_twice(workers: int) -> None:
    active: list[Key] = []
    most = 0

    async def reconcile(key: Key) -> Result:
        nonlocal most
        assert key not in active
        active.append(key)
        most = max(most, len(active))
        await asyncio.sleep(1)
        active.remove(key)
        return DONE

    async with running(reconcile, workers=workers) as (queue, metrics, _):
        for round_ in range(3):
            for number in range(9):
                queue.add(Key("lab", f"job-{number}"))
            await asyncio.sleep(0.3 + round_)
        await asyncio.sleep(100)
        assert most == workers
        assert metric(metrics, "reconcile_errors_total") == 0
        assert metric(metrics, "max_workers") == workers


async def test_no_workers_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one worker"):
        Runner("job", WorkQueue[Key](), Script(), metrics=Metrics(), workers=0)


async def test_the_result_can_set_the_priority_and_else_keeps_it() -> None:
    """Told from the order in which a key is taken that is ready at the same time as another."""
    order: list[str] = []

    async def reconcile(key: Key) -> Result:
        order.append(key.name)
        first = order.count(key.name) == 1
        if key.name == "blocker":
            await asyncio.sleep(5)
        return Result(after=1, priority=7 if key.name == "raised" else None) if first else DONE

    async with running(reconcile) as (queue, _, _):
        for name in ("kept", "raised"):
            queue.add(Key("lab", name), PRIORITY_INITIAL)
        await asyncio.sleep(0.5)
        queue.add(Key("lab", "blocker"))
        await asyncio.sleep(1)
        queue.add(Key("lab", "ordinary"))
        await asyncio.sleep(100)
    assert order[:6] == ["kept", "raised", "blocker", "raised", "ordinary", "kept"]


async def test_stopping_lets_passes_finish_and_starts_no_other() -> None:
    finished: list[str] = []

    async def reconcile(key: Key) -> Result:
        await asyncio.sleep(3)
        finished.append(key.name)
        return DONE

    queue = WorkQueue[Key]()
    runner = Runner("job", queue, reconcile, metrics=Metrics(), workers=2)
    for number in range(5):
        queue.add(Key("lab", f"job-{number}"))
    task = asyncio.create_task(runner.run())
    await asyncio.sleep(1)
    runner.stop()
    await task
    assert loop_clock() == 3
    assert finished == ["job-0", "job-1"]


async def test_stopping_idle_workers_ends_them_at_once() -> None:
    runner = Runner("job", WorkQueue[Key](), Script(), metrics=Metrics(), workers=4)
    task = asyncio.create_task(runner.run())
    await asyncio.sleep(1)
    runner.stop()
    await task
    assert loop_clock() == 1


async def test_once_leadership_is_in_doubt_no_further_pass_starts() -> None:
    sure = True
    script = Script()
    async with running(script, may_start=lambda: sure) as (queue, _, _):
        queue.add(BELL)
        await asyncio.sleep(1)
        sure = False
        queue.add(BELL)
        await asyncio.sleep(1)
    assert len(script.passes) == 1


async def test_the_log_of_a_pass_names_the_controller_the_object_and_its_context() -> None:
    async def reconcile(_: Key) -> Result:
        bound.append(structlog.contextvars.get_contextvars())
        raise Retryable("not now")

    bound: list[dict[str, Any]] = []
    about: dict[str, object] = {"uid": "1234", "attempt": 2}
    async with running(reconcile, context=lambda _: about) as (queue, _, _):
        queue.add(BELL)
        with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
            await asyncio.sleep(0.001)
    expected = {"controller": "job", "namespace": "lab", "job": "bell", **about}
    assert bound[0] == expected
    assert expected.items() <= lines[0].items()
    assert structlog.contextvars.get_contextvars() == {}
