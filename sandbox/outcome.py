"""How a sandboxed run ended, as the parent sees it. Nothing in here was decided by the child's word alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sandbox.policy import Layer

TAIL_BYTES = 16 << 10
"""How much of the end of standard output and of standard error an outcome keeps, each."""


@dataclass(frozen=True, slots=True)
class Exited:
    """The entry function returned (0), raised (1, traceback on stderr) or the code left by itself."""

    code: int


@dataclass(frozen=True, slots=True)
class Signaled:
    """A signal ended the child: a crash in native code, or one that it sent to itself."""

    signal: int


@dataclass(frozen=True, slots=True)
class TimedOut:
    """The child used up its wall time, or its CPU time over all threads."""

    limit: Literal["wall", "cpu"]


@dataclass(frozen=True, slots=True)
class MemoryExceeded:
    """An allocation went beyond `memory_bytes`, or the kernel's out-of-memory killer ended the child."""


@dataclass(frozen=True, slots=True)
class OutputExceeded:
    """The child sent (`messages`) or printed (`output`) more than it may, and was killed for it."""

    what: Literal["messages", "output"]


End = Exited | Signaled | TimedOut | MemoryExceeded | OutputExceeded


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One run. Treat `messages`, `stdout` and `stderr` as hostile: parse them with bounds, never unpickle.

    `messages` holds the complete frames in order, empty where `on_message` took them. `stdout` and `stderr`
    are the last `TAIL_BYTES` printed. `cpu_seconds` and `peak_rss_bytes` are the kernel's own account; the
    peak includes what the child shares with the zygote. `layers` are those that held while user code ran;
    empty if the child ended before that.
    """

    end: End
    messages: tuple[bytes, ...]
    stdout: bytes
    stderr: bytes
    wall_seconds: float
    cpu_seconds: float
    peak_rss_bytes: int
    layers: frozenset[Layer]

    @property
    def succeeded(self) -> bool:
        """Whether the entry function returned; says nothing of what it sent."""
        return self.end == Exited(0)
