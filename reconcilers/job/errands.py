"""Work for a job that takes longer than a worker should be held: it goes on by itself and calls back.

A pass waits a moment for its errand, since most are over at once. One that is not goes on without a worker, so
that jobs whose circuits take long to validate do not keep others waiting. Errands end with their owner.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")

AT_ONCE = 64
"""Errands under way; further ones wait. The services that they ask have limits of their own."""


class Errands(Generic[T]):
    """Tasks by name; an async context manager that ends them and waits until they have ended."""

    def __init__(self, *, at_once: int = AT_ONCE) -> None:
        self._permits = asyncio.Semaphore(at_once)
        self._under_way: set[asyncio.Task[T | Exception]] = set()
        self._tasks: dict[str, asyncio.Task[T | Exception]] = {}
        self._calling_back: set[str] = set()

    async def __aenter__(self) -> Errands[T]:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        # No TaskGroup: it would wrap what the owner's body raised, and errands never raise by themselves.
        for name in list(self._tasks):
            self.discard(name)
        if self._under_way:
            await asyncio.wait(self._under_way)

    async def outcome(
        self, name: str, work: Callable[[], Awaitable[T]], *, wait: float, done: Callable[[], None]
    ) -> T | None:
        """What the errand of this name brought; `None` while it is under way, and then `done` is called.

        The errand is started unless it is under way or over. An outcome is kept until `discard`; an error is
        raised here and not kept.
        """
        task = self._tasks.get(name)
        if task is None:
            task = asyncio.create_task(self._run(work), name=f"errand {name}")
            self._tasks[name] = task
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        await asyncio.wait((task,), timeout=wait)
        if not task.done():
            if name not in self._calling_back:
                self._calling_back.add(name)
                task.add_done_callback(lambda _: done())
            return None
        if task.cancelled():  # discarded while it was waited for
            return None
        result = task.result()
        if isinstance(result, Exception):
            self.discard(name)
            raise result
        return result

    def discard(self, name: str) -> None:
        """Forget an errand, and end it if it is under way."""
        self._calling_back.discard(name)
        task = self._tasks.pop(name, None)
        if task is not None:
            task.cancel()

    async def _run(self, work: Callable[[], Awaitable[T]]) -> T | Exception:
        async with self._permits:
            try:
                return await work()
            except Exception as error:  # noqa: BLE001 - raised where the outcome is asked for
                return error
