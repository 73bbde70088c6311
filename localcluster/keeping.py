"""Child processes that end with their parent, whatever way it goes: the asynchronous side of the keeper."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from localcluster.isolation import Isolation
from localcluster.keeper import remove_paths

_OVER = "the keeper has ended"
_ROOT = Path(__file__).parent.parent


class NotStarted(OSError):
    """The program could not be executed; the message is the system's."""


class Child:
    """One process that the keeper runs."""

    def __init__(self, keeper: Keeper, number: int, exited: asyncio.Future[int]) -> None:
        self._keeper = keeper
        self._number = number
        self._exited = exited
        self.pid = 0

    @property
    def running(self) -> bool:
        """Whether its end has not been reported yet."""
        return not self._exited.done()

    async def wait(self) -> int:
        """Its exit code, negative for the signal that ended it (as in `subprocess`)."""
        return await asyncio.shield(self._exited)

    def signal(self, number: int, *, group: bool = False) -> None:
        """Send a signal to it, or to its whole process group. Does nothing once it has ended."""
        self._keeper.order({"op": "signal", "id": self._number, "signal": number, "group": group})

    async def kill(self) -> int:
        """SIGKILL its whole group and wait for the end."""
        self.signal(signal.SIGKILL, group=True)
        return await self.wait()


class Keeper:
    """Starts children through one small process that ends them all when this one is gone."""

    def __init__(self, orders: asyncio.StreamWriter) -> None:
        self._orders = orders
        self._over = False
        self._numbers = itertools.count(1)
        self._started: dict[int, asyncio.Future[int]] = {}
        self._exited: dict[int, asyncio.Future[int]] = {}

    @classmethod
    @asynccontextmanager
    async def start(cls, remove: Sequence[Path] = ()) -> AsyncIterator[Keeper]:
        """A keeper that kills its children and removes `remove` on leaving, or when this process dies."""
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-S", "-m", "localcluster.keeper", str(os.getpid()), *map(str, remove)),
                cwd="/",
                env={"PYTHONPATH": str(_ROOT), "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8"},
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                # A terminal's Ctrl-C goes to the whole group; the keeper has to survive it to clean up.
                start_new_session=True,
            )
        except BaseException:
            # Cancelled meanwhile, asyncio kills it, and it removes nothing any more.
            remove_paths(remove)
            raise
        assert process.stdin is not None
        assert process.stdout is not None
        keeper = cls(process.stdin)
        listening = asyncio.create_task(keeper._listen(process.stdout), name="keeper events")
        try:
            yield keeper
        finally:
            process.stdin.close()
            # Not to be interrupted: on return nothing may be left of the children.
            await _undisturbed(process.wait())
            await _undisturbed(listening)

    async def run(
        self,
        argv: Sequence[str],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path = Path("/"),
        isolation: Isolation | None = None,
    ) -> Child:
        """Start a program, its output appended to `log`. Raises `NotStarted` if it cannot be executed."""
        if self._over:
            raise NotStarted(_OVER)
        loop = asyncio.get_running_loop()
        number = next(self._numbers)
        started = self._started[number] = loop.create_future()
        exited = self._exited[number] = loop.create_future()
        child = Child(self, number, exited)
        self.order(
            {
                "op": "start",
                "id": number,
                "argv": list(argv),
                "env": dict(os.environ if env is None else env),
                "cwd": str(cwd),
                "log": str(log),
                "isolation": None if isolation is None else asdict(isolation),
            }
        )
        child.pid = await started
        return child

    def order(self, order: Mapping[str, Any]) -> None:
        """Send one order; a keeper that is gone has already ended what it would be about."""
        if not self._orders.is_closing():
            self._orders.write(json.dumps(order).encode() + b"\n")

    async def _listen(self, events: asyncio.StreamReader) -> None:
        while line := await events.readline():
            event = json.loads(line)
            number = event["id"]
            if event["event"] == "started":
                _settle(self._started.pop(number), event["pid"])
            elif event["event"] == "failed":
                del self._exited[number]
                _settle(self._started.pop(number), NotStarted(event["error"]))
            else:
                _settle(self._exited.pop(number), os.waitstatus_to_exitcode(event["status"]))
        self._over = True
        for future in self._started.values():
            _settle(future, NotStarted(_OVER))
        for future in self._exited.values():
            _settle(future, -signal.SIGKILL)


def _settle(future: asyncio.Future[int], outcome: int | NotStarted) -> None:
    if future.done():
        return
    if isinstance(outcome, NotStarted):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


async def _undisturbed(work: Any) -> None:
    """Wait for `work` to its end, even while being cancelled; the cancellation is raised afterwards."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            if task.cancelled():
                raise
            cancelled = error
    if cancelled is not None:
        with contextlib.suppress(BaseException):
            task.result()
        raise cancelled
    task.result()
