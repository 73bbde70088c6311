"""One run of one container: from its command to how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from localcluster.isolation import Isolation
from localcluster.keeping import Child, Keeper, NotStarted
from localcluster.node import memory
from localcluster.node.states import Terminated, now

_MESSAGE_LIMIT = 4096
"""Bytes that a kubelet keeps of a termination message, and of a log that stands in for one."""
_LOG_LINES = 80
_START_ERROR = 128
"""Exit code that a kubelet reports for a container whose command could not be executed."""


@dataclass(frozen=True)
class Launch:
    """Everything that one run needs. `memory_limit` in bytes; `message_file` takes the termination message."""

    argv: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    log: Path
    message_file: Path
    message_from_log: bool
    isolation: Isolation
    memory_limit: int | None


class Process:
    """A container's process, while it runs."""

    def __init__(self, launch: Launch, keeper: Keeper, memory_poll: float) -> None:
        self._launch = launch
        self._keeper = keeper
        self._memory_poll = memory_poll
        self._child: Child | None = None
        self._out_of_memory = False

    async def run(self, started: Callable[[str], None]) -> Terminated:
        """Run it to its end; `started` gets the time of the start. Cancelling kills it."""
        try:
            child = self._child = await self._keeper.run(
                self._launch.argv,
                log=self._launch.log,
                env=self._launch.env,
                cwd=self._launch.cwd,
                isolation=self._launch.isolation,
            )
        except NotStarted as error:
            return Terminated(_START_ERROR, "StartError", f"failed to start container: {error}", None, now())
        started_at = now()
        started(started_at)
        watching = asyncio.create_task(self._watch_memory(child), name=f"memory of {child.pid}")
        try:
            code = await child.wait()
        except asyncio.CancelledError:
            child.signal(signal.SIGKILL, group=True)
            raise
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
        return self._ended(code, started_at)

    def signal(self, number: int) -> None:
        """Send a signal to the container's first process; SIGKILL takes its whole group along."""
        if self._child is not None:
            self._child.signal(number, group=number == signal.SIGKILL)

    async def _watch_memory(self, child: Child) -> None:
        limit = self._launch.memory_limit
        while limit is not None and child.running:
            if memory.exceeds(child.pid, limit):
                self._out_of_memory = True
                child.signal(signal.SIGKILL, group=True)
                return
            await asyncio.sleep(self._memory_poll)

    def _ended(self, code: int, started_at: str) -> Terminated:
        exit_code = 128 - code if code < 0 else code
        reason = "OOMKilled" if self._out_of_memory else "Completed" if code == 0 else "Error"
        return Terminated(exit_code, reason, self._message(exit_code), started_at, now())

    def _message(self, exit_code: int) -> str:
        """The container's last words: its termination message, or the end of its log if that is asked for."""
        written = _end_of(self._launch.message_file, _MESSAGE_LIMIT)
        if written or exit_code == 0 or not self._launch.message_from_log:
            return written
        lines = _end_of(self._launch.log, _MESSAGE_LIMIT).splitlines(keepends=True)
        return "".join(lines[-_LOG_LINES:])


def _end_of(path: Path, limit: int) -> str:
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - limit))
            return file.read(limit).decode(errors="replace")
    except OSError:
        return ""
