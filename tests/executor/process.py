"""Executors as processes of their own."""

import asyncio
import contextlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec

from messages.failure import Failure
from tests.executor.authority import SERVER_NAME
from tests.executor.orders import SECONDS

ROOT = Path(__file__).parent.parent.parent


@dataclass
class Ended:
    """How an executor ended."""

    code: int
    failure: Failure | None
    stdout: str
    stderr: str


class Executor:
    """One executor process."""

    def __init__(self, process, termination_log):
        self.process = process
        self._termination_log = termination_log

    @property
    def pid(self):
        return self.process.pid

    async def ended(self):
        async with asyncio.timeout(SECONDS):
            stdout, stderr = await self.process.communicate()
        text = self._termination_log.read_bytes()
        assert len(text) <= 4096
        failure = msgspec.json.decode(text, type=Failure) if text else None
        return Ended(
            self.process.returncode, failure, stdout.decode(errors="replace"), stderr.decode(errors="replace")
        )


async def start_executor(stack, gateway, folder, order, changed):
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
        "-m",
        "executor_image.supervisor",
        env={name: value for name, value in environment.items() if value is not None},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        cwd="/",
        start_new_session=True,
    )
    stack.push_async_callback(_stop, process)
    return Executor(process, folder / "termination-log")


async def _stop(process):
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    await process.communicate()
