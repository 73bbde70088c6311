"""The runner: N workers that take keys from one queue, reconcile them, and turn outcomes into queue calls.

    outcome of a pass                  queue                                counted as
    Result()                           forget                               success
    Result(after=s)                    forget, add_after(s)                 requeued
    Retryable(after=s), any Exception  add_rate_limited (never before s)    error
    Conflict                           add_rate_limited                     conflict
    the runner's own deadline          add_rate_limited                     error, and timeout
    Terminal                           forget, nothing more                 terminal
    cancelled from outside             nothing: the pass did not end        nothing

An error outranks whatever the pass would have asked for (G33). A pass sees nothing but its key: it reads the
state when it starts, and an absent object is an ordinary success (G32).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping
from typing import Generic, TypeVar

import structlog

from controller.metrics import Metrics
from informers.key import Key
from informers.timing import Clock, loop_clock
from informers.workqueue import ShutDown, WorkQueue
from reconcilers.result import Conflict, Result, Retryable, Terminal

log = structlog.get_logger("runner")

K = TypeVar("K", bound=Hashable)

Reconcile = Callable[[K], Awaitable[Result]]


def _always() -> bool:
    return True


def _nothing(_: Hashable) -> Mapping[str, object]:
    return {}


class Runner(Generic[K]):
    """Runs `reconcile` for the keys of `queue`, at most `workers` at once and never twice on one key.

    `timeout` (seconds, None for none) bounds a pass. `context` gives what is bound to the log while a key is
    worked on. `may_start` is asked before each pass; once it answers False no further pass starts (a leader
    that cannot be sure of its lease any more starts nothing, even before it is told to stop).
    """

    def __init__(
        self,
        name: str,
        queue: WorkQueue[K],
        reconcile: Reconcile[K],
        *,
        metrics: Metrics,
        workers: int = 1,
        timeout: float | None = None,
        context: Callable[[K], Mapping[str, object]] = _nothing,
        may_start: Callable[[], bool] = _always,
        clock: Clock = loop_clock,
    ) -> None:
        if workers < 1:
            raise ValueError(f"a runner needs at least one worker, not {workers}")
        self.name = name
        self._queue = queue
        self._reconcile = reconcile
        self._workers = workers
        self._timeout = timeout
        self._context = context
        self._may_start = may_start
        self._clock = clock
        self._stopping = False
        self._metrics = metrics
        self._seconds = metrics.reconcile_seconds.labels(name)
        self._active = metrics.active_workers.labels(name)
        self._outcomes = {
            outcome: metrics.reconciles.labels(name, outcome)
            for outcome in ("success", "requeued", "error", "conflict", "terminal")
        }
        self._errors = metrics.reconcile_errors.labels(name)
        self._timeouts = metrics.reconcile_timeouts.labels(name)
        self._terminal = metrics.terminal_errors.labels(name)
        metrics.workers.labels(name).set(workers)

    async def run(self) -> None:
        """Work until `stop`, or until cancelled. Returns when no pass is under way any more."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._workers):
                group.create_task(self._work(), name=f"{self.name}-worker-{number}")

    def stop(self) -> None:
        """Let passes that are under way finish and start no other.

        Keys that are still queued are left alone: every pass could be the first one ever, so whoever runs
        next finds their work by itself, and a long queue does not delay the hand-over.
        """
        self._stopping = True
        self._queue.shut_down()

    async def _work(self) -> None:
        while True:
            try:
                key = await self._queue.get()
            except ShutDown:
                return
            try:
                if self._stopping:
                    return
                if not self._may_start():
                    log.warning("no further pass is started: leadership is in doubt", controller=self.name)
                    return
                # What every line of the pass's log says. Nothing outside a pass is bound in a worker's task.
                bound = structlog.contextvars.bind_contextvars(**self._bindings(key))
                try:
                    await self._pass(key)
                finally:
                    structlog.contextvars.reset_contextvars(**bound)
            finally:
                self._queue.done(key)

    def _bindings(self, key: K) -> dict[str, object]:
        about: dict[str, object] = {self.name: str(key)}
        if isinstance(key, Key):
            about = {"namespace": key.namespace, self.name: key.name}
        return {"controller": self.name, **about, **self._context(key)}

    async def _pass(self, key: K) -> None:
        began = self._clock()
        self._active.inc()
        try:
            result = await self._bounded(key)
        except Terminal as error:
            self._count("terminal", began)
            self._terminal.inc()
            log.error("gave up until the object changes", error=str(error))
            self._queue.forget(key)
        except Conflict as error:
            self._count("conflict", began)
            log.debug("the object changed under this pass", error=str(error))
            self._queue.add_rate_limited(key)
        except Retryable as error:
            self._failed(began)
            log.warning("pass failed, will be retried", error=str(error), retries=self._queue.failures(key))
            self._queue.add_rate_limited(key, at_least=error.after or 0.0)
        except _DeadlineExceeded:
            self._failed(began)
            self._timeouts.inc()
            log.error("pass exceeded its deadline, will be retried", deadline_seconds=self._timeout)
            self._queue.add_rate_limited(key)
        except Exception as error:
            self._failed(began)
            log.exception("pass failed, will be retried", error=f"{type(error).__name__}: {error}")
            self._queue.add_rate_limited(key)
        else:
            self._queue.forget(key)
            if result.after is not None and result.after > 0:
                self._count("requeued", began)
                self._queue.add_after(key, result.after, result.priority)
            else:
                self._count("success", began)
        finally:
            self._active.dec()

    async def _bounded(self, key: K) -> Result:
        """One pass under the runner's deadline.

        A TimeoutError of the pass's own making is its error, not our deadline; a cancellation that nobody
        asked this worker for is an error too: passed on, it would end the worker without a word.
        """
        try:
            async with asyncio.timeout(self._timeout) as deadline:
                return await self._reconcile(key)
        except TimeoutError as error:
            if deadline.expired():
                raise _DeadlineExceeded from error
            raise
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise RuntimeError("something that the pass awaited was cancelled by somebody else") from error

    def _failed(self, began: float) -> None:
        self._count("error", began)
        self._errors.inc()

    def _count(self, outcome: str, began: float) -> None:
        self._outcomes[outcome].inc()
        self._seconds.observe(self._clock() - began)


class _DeadlineExceeded(Exception):
    """The runner's deadline, told apart from any TimeoutError of the pass itself."""
