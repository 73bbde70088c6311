"""One child as its parent sees it: what it sends and prints, within bounds, and the verdict on its end."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Awaitable, Callable
from types import TracebackType

import msgspec

from sandbox.child import EXIT_OUT_OF_MEMORY
from sandbox.frames import MESSAGE, QUESTION, FrameReader, FramesTooLarge, frame
from sandbox.line import ZygoteFailed
from sandbox.outcome import (
    TAIL_BYTES,
    End,
    Exited,
    MemoryExceeded,
    Outcome,
    OutputExceeded,
    Signaled,
    TimedOut,
)
from sandbox.policy import SandboxPolicy, SandboxUnavailable
from sandbox.protocol import Ended, Entered, Unavailable, decode_greeting
from sandbox.streams import PipeReader, Tail

Answer = Callable[[bytes], Awaitable[bytes]]

_GREETING_BYTES = 4096
_LAST_WORDS = (b"std::bad_alloc", b"memory allocation of")
"""What C++ and Rust print before they abort because an allocation has failed. User code can print it too, and
only gains another word for its own failure."""


class Run:
    """The connections to one child; a context manager that closes them. Set `kill` before the child can send."""

    def __init__(
        self,
        payload: bytes,
        policy: SandboxPolicy,
        output_bytes: int | None,
        message_bytes: int,
        on_message: Callable[[bytes], None] | None,
        on_output: Callable[[bytes], None] | None,
        answer: Answer | None,
    ) -> None:
        self.kill: Callable[[], None] = lambda: None
        self._policy = policy
        self._output_bytes = output_bytes
        self._on_message = on_message
        self._on_output = on_output
        self._answer = answer
        self._questions: asyncio.Queue[bytes] = asyncio.Queue()
        self._frames = FrameReader(message_bytes, first=_GREETING_BYTES)
        self._messages: list[bytes] = []
        self._greeting: Entered | Unavailable | None = None
        self._stdout, self._stderr = Tail(TAIL_BYTES), Tail(TAIL_BYTES)
        self._exceeded: OutputExceeded | None = None
        self._readers: list[PipeReader] = []
        self._line: socket.socket | None = None
        self.child_ends: list[int] = []
        """What the child gets, in the order of `Descriptors`."""
        try:
            self.child_ends.append(_in_memory(payload))
            self._line, theirs_too = socket.socketpair()
            self._line.setblocking(False)
            self.child_ends.append(theirs_too.detach())
            self._readers.append(PipeReader(os.dup(self._line.fileno()), self._take_frames))
            for take in (self._take_stdout, self._take_stderr):
                ours, theirs = os.pipe()
                self.child_ends.append(theirs)
                self._readers.append(PipeReader(ours, take))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Run:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close_child_ends(self) -> None:
        """Let go of the write ends once the zygote has them: the pipes then end with the child."""
        while self.child_ends:
            os.close(self.child_ends.pop())

    def close(self) -> None:
        """Close whatever is open."""
        self.close_child_ends()
        if self._line is not None:
            self._line.close()
        for reader in self._readers:
            reader.stop()

    async def answer_questions(self) -> None:
        """Answer what the child asks, one after the other, until cancelled or the child has gone."""
        assert self._line is not None
        assert self._answer is not None
        loop = asyncio.get_running_loop()
        while True:
            answer = await self._answer(await self._questions.get())
            try:
                await loop.sock_sendall(self._line, frame(answer))
            except ConnectionError:
                return

    async def drained(self) -> None:
        """Wait until everything that the child wrote is read."""
        await asyncio.wait([reader.ended for reader in self._readers])

    def outcome(self, ended: Ended) -> Outcome:
        """The verdict. Raises SandboxUnavailable or ZygoteFailed if user code was never reached."""
        end = self._end(ended)
        if isinstance(self._greeting, Unavailable):
            raise SandboxUnavailable(self._greeting.layer, self._greeting.cause, self._policy.setting)
        if self._greeting is None and isinstance(end, Exited):
            raise ZygoteFailed(f"a child ended before it was shut in: {self._last_line()}")
        return Outcome(
            end=end,
            messages=tuple(self._messages),
            stdout=bytes(self._stdout),
            stderr=bytes(self._stderr),
            wall_seconds=ended.wall_seconds,
            cpu_seconds=ended.cpu_seconds,
            peak_rss_bytes=ended.peak_rss_bytes,
            layers=self._greeting.layers if self._greeting else frozenset(),
        )

    def _end(self, ended: Ended) -> End:
        if self._exceeded is not None:
            return self._exceeded
        if os.WIFEXITED(ended.status):
            code = os.WEXITSTATUS(ended.status)
            return MemoryExceeded() if code == EXIT_OUT_OF_MEMORY else Exited(code)
        number = os.WTERMSIG(ended.status)
        if ended.out_of_wall_time:
            return TimedOut("wall")
        limit = self._policy.cpu_seconds
        if number == signal.SIGXCPU or (
            number == signal.SIGKILL and limit is not None and ended.cpu_seconds >= limit
        ):
            return TimedOut("cpu")
        if number == signal.SIGKILL and ended.killed_for_memory:
            return MemoryExceeded()
        if number == signal.SIGABRT and any(words in bytes(self._stderr) for words in _LAST_WORDS):
            return MemoryExceeded()
        return Signaled(number)

    def _take_frames(self, chunk: bytes) -> None:
        try:
            frames = self._frames.feed(chunk)
            if self._greeting is None and frames:
                self._greeting = decode_greeting(frames.pop(0))
        except (FramesTooLarge, msgspec.MsgspecError):
            self._exceed(OutputExceeded("messages"))
            return
        for content in frames:
            self._take_frame(content[:1], content[1:])

    def _take_frame(self, kind: bytes, content: bytes) -> None:
        if kind == QUESTION and self._answer is not None:
            self._questions.put_nowait(content)
        elif kind != MESSAGE:
            self._exceed(OutputExceeded("messages"))
        elif self._on_message is None:
            self._messages.append(content)
        else:
            self._on_message(content)

    def _take_stdout(self, chunk: bytes) -> None:
        self._take_output(self._stdout, chunk)

    def _take_stderr(self, chunk: bytes) -> None:
        self._take_output(self._stderr, chunk)

    def _take_output(self, tail: Tail, chunk: bytes) -> None:
        tail.add(chunk)
        if self._on_output is not None:
            self._on_output(chunk)
        if self._output_bytes is not None and self._stdout.total + self._stderr.total > self._output_bytes:
            self._exceed(OutputExceeded("output"))

    def _exceed(self, what: OutputExceeded) -> None:
        """Kill the child and read no more from it; the first limit it hit is the verdict."""
        self._exceeded = self._exceeded or what
        self.kill()
        for reader in self._readers:
            reader.stop()

    def _last_line(self) -> str:
        lines = bytes(self._stderr).decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


def _in_memory(payload: bytes) -> int:
    """A descriptor to read the payload from, of a file that has no name."""
    descriptor = os.memfd_create("payload", os.MFD_CLOEXEC)
    with open(descriptor, "wb", closefd=False) as target:
        target.write(payload)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
