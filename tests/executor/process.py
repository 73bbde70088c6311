"""Executors as processes of their own."""

import asyncio
import contextlib
import os
import sys
from asyncio.subprocess import Process
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from messages.failure import EXIT_CODES, ExecutorReason, Failure
from messages.work import WorkOrder
from tests.executor.authority import SERVER_NAME
from tests.executor.gateway_stub import GatewayStub
from tests.executor.orders import SECONDS

ROOT = Path(__file__).parent.parent.parent

SUPERVISOR = ("-m", "executor_image.supervisor")


@dataclass
class Ended:
    """How an executor ended."""

    code: int
    failure: Failure | None
    stdout: str
    stderr: str


class Executor:
    """One executor process."""

    def __init__(self, process: Process, termination_log: Path) -> None:
        self.process = process
        self._termination_log = termination_log
        self._seen = b""

    @property
    def pid(self) -> int:
        return self.process.pid

    async def line(self) -> bytes:
        """The next line of what the executor itself logs."""
        assert self.process.stderr is not None
        return await self.process.stderr.readline()

    async def printed(self, text: str) -> None:
        """Wait until the code has printed `text`."""
        assert self.process.stdout is not None
        async with asyncio.timeout(SECONDS):
            while text.encode() not in self._seen:
                self._seen += await self.process.stdout.readline()

    async def ended(self) -> Ended:
        """Wait for the end."""
        async with asyncio.timeout(SECONDS):
            stdout, stderr = await self.process.communicate()
        assert self.process.returncode is not None
        text = self._termination_log.read_bytes()
        assert len(text) <= 4096
        failure = msgspec.json.decode(text, type=Failure) if text else None
        shown = (self._seen + stdout).decode(errors="replace"), stderr.decode(errors="replace")
        return Ended(self.process.returncode, failure, *shown)


class Start(Protocol):
    """What the fixture `start` gives: environment variables by name, `None` to leave one out."""

    async def __call__(
        self, order: WorkOrder | None, *, command: Sequence[str] = SUPERVISOR, **changed: str | None
    ) -> Executor: ...


async def start_executor(
    stack: contextlib.AsyncExitStack,
    gateway: GatewayStub,
    folder: Path,
    order: WorkOrder | None,
    changed: Mapping[str, str | None],
    command: Sequence[str] = SUPERVISOR,
) -> Executor:
    """Start an executor for `gateway` with its files in `folder`; it is killed with `stack`."""
    if order is not None:
        gateway.order = order
    (folder / "work").mkdir(exist_ok=True)
    (folder / "token").write_text(gateway.token + "\n")
    (folder / "termination-log").write_bytes(b"")
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "EXECUTOR_GATEWAY_URL": gateway.url,
        "EXECUTOR_GATEWAY_CA": gateway.authority.pem,
        "EXECUTOR_GATEWAY_SERVER_NAME": SERVER_NAME,
        "EXECUTOR_TOKEN_FILE": str(folder / "token"),
        "EXECUTOR_WORK_DIR": str(folder / "work"),
        "EXECUTOR_TERMINATION_LOG": str(folder / "termination-log"),
        "EXECUTOR_POD_NAME": "bell-2-abc",
        "EXECUTOR_POD_UID": "99999999-8888-7777-6666-555555555555",
        **changed,
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        env={name: value for name, value in environment.items() if value is not None},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd="/",
        start_new_session=True,
    )
    stack.push_async_callback(_stop, process)
    return Executor(process, folder / "termination-log")


async def _stop(process: Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    await process.communicate()


def assert_failed(ended: Ended, reason: ExecutorReason, said: str) -> None:
    """Termination message and exit code agree, and the message holds `said`."""
    assert ended.failure is not None, ended.stderr
    assert (ended.failure.reason, ended.code) == (reason, EXIT_CODES[reason]), ended
    assert said in ended.failure.message


def processes() -> dict[int, int]:
    """The parent of each process that there is."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
    return parents


def family(leader: int) -> list[int]:
    """The supervisor, its zygote and the children: all that descend from `leader`."""
    parents = processes()
    found = [leader]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found
