"""Processes that are measured: started, waited for, asked, ended."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from localcluster.controlplane import ControlPlane

ROOT = Path(__file__).parent.parent
TAIL = 2000


@dataclass(frozen=True, slots=True)
class Contender:
    """A module of bench.contender, and the style in which it is to work."""

    name: str
    module: str
    style: str = ""


OURS = Contender("ours", "bench.contender.ours")
BARE = Contender("bare client", "bench.contender.bare")
NODE = Contender("node", "bench.contender.node")
OPERATOR = Contender("operator", "bench.contender.operator", "account")
OPERATOR_KUBECONFIG = Contender("operator, kubeconfig", "bench.contender.operator", "kubeconfig")
KOPF = Contender("kopf", "bench.contender.kopf_operator", "create")
KOPF_EVENT = Contender("kopf, low-level", "bench.contender.kopf_operator", "event")


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """What a contender says of itself. Times in seconds of the monotonic clock, memory in bytes.

    `cpu` is all processor time of the process, `cpu_of_passes` that from the first pass to the last sample.
    """

    cpu: float
    cpu_of_passes: float
    rss: int
    uss: int
    passes: int
    began: dict[str, float]
    posted: dict[str, float]
    finished: dict[str, float]


class Failed(Exception):
    """A contender ended, or did not get there in time; the message has the end of its output."""


class Running:
    """A contender at work."""

    def __init__(self, contender: Contender, process: asyncio.subprocess.Process, log: Path) -> None:
        self.contender = contender
        self.started = time.monotonic()
        self._process = process
        self._log = log

    async def until(self, event: str, seconds: float) -> dict[str, Any]:
        """Wait for an event of the contender and return it."""
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(seconds):
                async for line in self._process.stdout:
                    with contextlib.suppress(msgspec.DecodeError):
                        found = msgspec.json.decode(line, type=dict[str, Any])
                        if found.get("event") == event:
                            return found
        except TimeoutError:
            raise Failed(f"{self.contender.name}: no {event!r} within {seconds} s\n{self._tail()}") from None
        raise Failed(f"{self.contender.name} ended before {event!r}\n{self._tail()}")

    async def measure(self) -> Measured:
        """Ask for its figures."""
        self._say("measure")
        return msgspec.convert(await self.until("measured", 60.0), Measured)

    async def quit(self) -> None:
        """End it."""
        with contextlib.suppress(ConnectionError):
            self._say("quit")
        await self._process.wait()

    def _say(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n".encode())

    def _tail(self) -> str:
        return self._log.read_text(errors="replace")[-TAIL:]


@asynccontextmanager
async def running(
    contender: Contender,
    plane: ControlPlane,
    *,
    namespace: str,
    workers: int,
    expect: int = 0,
    validation_url: str | None = None,
) -> AsyncIterator[Running]:
    """Start a contender; it is ended with the block."""
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        (folder / "ca.crt").write_bytes(plane.authority.certificate)
        plane.authority.client("bench", ["system:masters"]).write(folder / "client")
        command = [
            sys.executable, "-m", contender.module, "--kubeconfig", str(plane.kubeconfig),
            "--server", plane.server, "--credentials", name, "--namespace", namespace,
            "--workers", str(workers), "--expect", str(expect), "--style", contender.style,
        ]  # fmt: skip
        if validation_url is not None:
            command += ["--validation-url", validation_url]
        log = folder / "stderr"
        with log.open("wb") as stderr:
            process = await asyncio.create_subprocess_exec(
                *command,
                cwd=ROOT,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                limit=64 << 20,
            )
        one = Running(contender, process, log)
        try:
            yield one
        finally:
            if process.returncode is None:
                await one.quit()
