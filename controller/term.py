"""One term of leadership: queues, handlers and workers, made new for it and ended with it (G44).

Nothing survives a term. The next one (in this process or another) begins with every object of the caches at
the priority of an initial list, so that no work is lost with the queues.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from typing import Any, Protocol

import structlog

from controller.metric_adapters import QueueAdapter
from controller.metrics import Metrics
from controller.runner import Reconcile, Runner
from informers import Key, WorkQueue

log = structlog.get_logger("term")


class Registration(Protocol):
    """A handler's place in an informer."""

    def remove(self) -> None: ...


Subscribe = Callable[[WorkQueue[Key]], Sequence[Registration]]
"""Connects sources to a queue; called once the workers exist."""


def _nothing(_: Key) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True, slots=True)
class Controller:
    """One reconciler with what feeds it. `timeout` in seconds; `context` is bound to the log of a pass.

    `lifetimes` are entered before the first pass and left after the last, in reverse.
    """

    name: str
    queue: WorkQueue[Key]
    queue_metrics: QueueAdapter
    reconcile: Reconcile[Key]
    subscribe: Subscribe
    workers: int = 1
    timeout: float | None = None
    context: Callable[[Key], Mapping[str, object]] = _nothing
    lifetimes: tuple[AbstractAsyncContextManager[object], ...] = ()


class Term:
    """Runs the controllers until told to stop, or until cancelled."""

    def __init__(
        self,
        controllers: Sequence[Controller],
        metrics: Metrics,
        *,
        may_start: Callable[[], bool],
        grace: float,
    ) -> None:
        self._controllers = controllers
        self._grace = grace
        self._runners = [
            Runner(
                controller.name,
                controller.queue,
                controller.reconcile,
                metrics=metrics,
                workers=controller.workers,
                timeout=controller.timeout,
                context=controller.context,
                may_start=may_start,
            )
            for controller in controllers
        ]

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; then sources, queues, workers end in that order.

        Passes under way get `grace` seconds to finish, then they are cancelled. When `run` has returned or
        raised, nothing of the term is running any more.
        """
        registrations: list[Registration] = []
        try:
            async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
                for controller in self._controllers:
                    for lifetime in controller.lifetimes:
                        await stack.enter_async_context(lifetime)
                workers = [group.create_task(runner.run(), name=runner.name) for runner in self._runners]
                for controller in self._controllers:
                    controller.queue_metrics.follow(controller.queue)
                    registrations += controller.subscribe(controller.queue)
                await stop.wait()
                for registration in registrations:
                    registration.remove()
                for runner in self._runners:
                    runner.stop()
                if workers:
                    await asyncio.wait(workers, timeout=self._grace)
                for worker in [worker for worker in workers if not worker.done()]:
                    log.warning(
                        "passes did not finish in time and are cancelled", controller=worker.get_name()
                    )
                    worker.cancel()
        finally:
            for registration in registrations:
                registration.remove()
            for runner in self._runners:
                runner.stop()  # a lost lease ends the workers only; the queue's timers would go on
            for controller in self._controllers:
                controller.queue_metrics.rest()
