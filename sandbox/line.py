"""The parent's side of one zygote process: start it, talk to it, notice its death."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from sandbox.protocol import (
    PACKET_BYTES,
    Boot,
    Broken,
    Descriptors,
    Ended,
    NotSpawned,
    Ready,
    decode_report,
    encode,
)

_INHERITED = ("LD_LIBRARY_PATH", "TZ")
_FIXED = {
    "LC_ALL": "C.UTF-8",
    "MALLOC_ARENA_MAX": "2",  # each arena reserves 64 MiB of address space
    "MKL_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",  # with more, a bare import leaves a second thread, and forking is unsafe
    "QISKIT_PARALLEL": "FALSE",
}
_BOOT = "import sys; sys.path[:] = sys.argv[2:]; from sandbox.zygote_process import main; main(sys.argv[1])"


class ZygoteFailed(Exception):
    """The zygote could not start, or ended while it was needed. Another run starts a fresh one."""


class Line:
    """One zygote process. `lost` is done, with the cause as its result, once the process is of no use."""

    def __init__(self, process: subprocess.Popen[bytes], end: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        self._process = process
        self._socket = end
        self._waiting: dict[int, asyncio.Future[Ended]] = {}
        self._sending = asyncio.Lock()
        self._closing = asyncio.Lock()
        self.ready: asyncio.Future[None] = self._loop.create_future()
        self.lost: asyncio.Future[str] = self._loop.create_future()
        end.setblocking(False)
        self._loop.add_reader(end, self._readable)

    @classmethod
    def open(cls, preload: str, entry: str, environment: Mapping[str, str]) -> Line:
        """Start a process. It inherits nothing but its end of a socketpair and stderr."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        path = tuple(str(Path(entry or ".").absolute()) for entry in sys.path)
        boot = Boot(theirs.fileno(), os.getpid(), preload, entry)
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        with theirs:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own module
                [sys.executable, "-I", "-c", _BOOT, msgspec.json.encode(boot).decode(), *path],
                env={**inherited, **_FIXED, **environment},
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # out of reach of the terminal's Ctrl-C
                cwd="/",
            )
        return cls(process, ours)

    @property
    def pid(self) -> int:
        """The zygote's process ID."""
        return self._process.pid

    async def spawn(
        self, identity: int, request: msgspec.Struct, descriptors: Descriptors
    ) -> asyncio.Future[Ended]:
        """Hand over a child's descriptors; the result is done when that child is reaped.

        Raises ZygoteFailed if the zygote has ended.
        """
        ended: asyncio.Future[Ended] = self._loop.create_future()
        self._waiting[identity] = ended
        packet = encode(request)
        async with self._sending:
            while not self.lost.done():
                try:
                    socket.send_fds(self._socket, [packet], descriptors)
                except BlockingIOError:
                    await self._writable()
                except OSError as error:
                    self._lose(f"{error}")
                else:
                    return ended
        raise ZygoteFailed(self.lost.result())

    def say(self, request: msgspec.Struct) -> None:
        """Send without waiting. A zygote that does not take it hangs, and is given up."""
        if self.lost.done():
            return
        try:
            self._socket.send(encode(request))
        except OSError as error:
            self._lose(f"{error}")

    async def close(self) -> None:
        """End the process, and with it all of its children, and wait until it is gone."""
        self._lose("closed")
        async with self._closing:
            if self._process.returncode is not None:
                return
            pidfd = os.pidfd_open(self._process.pid)
            gone: asyncio.Future[None] = self._loop.create_future()
            self._loop.add_reader(pidfd, _finish, gone)
            try:
                await gone
            finally:
                self._loop.remove_reader(pidfd)
                os.close(pidfd)
            self._process.wait()

    async def _writable(self) -> None:
        writable: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_writer(self._socket, _finish, writable)
        try:
            await asyncio.wait((writable, self.lost), return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not self.lost.done():
                self._loop.remove_writer(self._socket)

    def _readable(self) -> None:
        try:
            packet = self._socket.recv(PACKET_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._lose(f"{error}")
            return
        if not packet:
            self._lose("the zygote has ended")
            return
        report = decode_report(packet)
        if isinstance(report, Ready):
            self.ready.set_result(None)
        elif isinstance(report, Broken):
            self._lose(report.message)
        else:
            self._settle(report)

    def _settle(self, report: Ended | NotSpawned) -> None:
        ended = self._waiting.pop(report.id, None)
        if ended is None or ended.done():
            return
        if isinstance(report, NotSpawned):
            ended.set_exception(ZygoteFailed(report.message))
        else:
            ended.set_result(report)

    def _lose(self, cause: str) -> None:
        """Give up on this process: its children die with it, and whoever waits for one is told."""
        if self.lost.done():
            return
        self.lost.set_result(cause)
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._socket.close()
        os.kill(self._process.pid, signal.SIGKILL)  # not reaped before `close`, so the PID is its own
        for ended in self._waiting.values():
            if not ended.done():
                ended.set_exception(ZygoteFailed(cause))
        self._waiting.clear()


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
