"""Running user code: the one way in for executor and validation service.

    async with Zygote.start(preload="circuits.warm:load", entry="executor_image.child:run") as zygote:
        outcome = await zygote.run(payload, SandboxPolicy(memory_bytes=1 << 30), wall_seconds=10)

Parent (token, TLS, no qiskit), zygote (imports, one thread, scrubbed environment, one socketpair) and child
(forked, shut in, runs the code) are three processes, so that the code finds no secret even in its own memory.
Start the zygote before the parent reads any token.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from sandbox.line import Line, ZygoteFailed
from sandbox.outcome import Outcome
from sandbox.policy import SandboxPolicy
from sandbox.protocol import Descriptors, Ended, Kill, Spawn
from sandbox.run import Answer, Run

_KILL_SECONDS = 5.0
"""How long a kill may take before the zygote itself is given up."""


class Zygote:
    """A source of sandboxed children. Many may run at once; bound their number yourself."""

    def __init__(
        self, preload: str, entry: str, environment: Mapping[str, str], start_seconds: float
    ) -> None:
        """Use `start`; this opens nothing."""
        self._preload = preload
        self._entry = entry
        self._environment = dict(environment)
        self._start_seconds = start_seconds
        self._line: Line | None = None
        self._starting = asyncio.Lock()
        self._identities = itertools.count(1)

    @classmethod
    @asynccontextmanager
    async def start(
        cls,
        *,
        preload: str,
        entry: str,
        environment: Mapping[str, str] | None = None,
        start_seconds: float = 60.0,
    ) -> AsyncIterator[Zygote]:
        """Start the process and wait until it is ready; end it and all its children on the way out.

        `preload` and `entry` are `module:function`. `preload()` runs once in the zygote: it imports, and
        never runs a circuit or a pass. `entry(payload, send)` runs in each child. `environment` is added to
        the few variables that the zygote gets; nothing else is inherited. Raises ZygoteFailed if loading
        fails or takes longer than `start_seconds`.
        """
        zygote = cls(preload, entry, environment or {}, start_seconds)
        try:
            await zygote._ready_line()
            yield zygote
        finally:
            if zygote._line is not None:
                await zygote._line.close()

    @property
    def pid(self) -> int:
        """Process ID of the zygote that runs now."""
        assert self._line is not None, "started"
        return self._line.pid

    async def run(
        self,
        payload: bytes,
        policy: SandboxPolicy,
        *,
        wall_seconds: float,
        output_bytes: int | None = 1 << 20,
        message_bytes: int = 64 << 20,
        on_message: Callable[[bytes], None] | None = None,
        on_output: Callable[[bytes], None] | None = None,
        answer: Answer | None = None,
    ) -> Outcome:
        """Run `entry(payload, send)` in a fresh child and tell how it ended; the child is dead on return.

        `wall_seconds` counts from the fork and is kept by the zygote. `output_bytes` bounds what is printed
        to stdout and stderr together, `message_bytes` what is sent; beyond either the child is killed. `None`
        prints without end (the tail is kept). `on_message` and `on_output` get frames and printed chunks as
        they come, on the event loop, and must not block. `answer` is awaited for each question of the child
        (`Channel.ask`), one at a time; the questions are hostile, and an error in it ends the run as an
        ExceptionGroup. Cancelling kills the child.

        Raises SandboxUnavailable if a required layer is missing (user code has not run), ZygoteFailed if the
        zygote ended meanwhile (user code may have run; the next run starts a new zygote).
        """
        line = await self._ready_line()
        identity = next(self._identities)
        with Run(payload, policy, output_bytes, message_bytes, on_message, on_output, answer) as run:
            run.kill = lambda: line.say(Kill(identity))
            descriptors = Descriptors(*run.child_ends)
            ended = await line.spawn(identity, Spawn(identity, policy, wall_seconds), descriptors)
            run.close_child_ends()
            try:
                async with asyncio.TaskGroup() as tasks:
                    answering = tasks.create_task(run.answer_questions()) if answer else None
                    await self._reaped(line, ended, wall_seconds + _KILL_SECONDS)
                    if answering:
                        answering.cancel()
            finally:
                if not ended.done():
                    run.kill()
                    await self._reaped(line, ended, _KILL_SECONDS)
            report = ended.result()
            await run.drained()
            return run.outcome(report)

    async def _reaped(self, line: Line, ended: asyncio.Future[Ended], seconds: float) -> None:
        """Wait until a child is reaped; give up the zygote that has not done so in time."""
        await asyncio.wait((ended,), timeout=seconds)
        if not ended.done():
            await line.close()  # this kills its children, and ends `ended` with ZygoteFailed

    async def _ready_line(self) -> Line:
        """The zygote that runs now, or a new one in the place of one that was lost."""
        async with self._starting:
            if self._line is not None:
                if not self._line.lost.done():
                    return self._line
                await self._line.close()
            line = self._line = Line.open(self._preload, self._entry, self._environment)
            waiting = (line.ready, line.lost)
            await asyncio.wait(waiting, timeout=self._start_seconds, return_when=asyncio.FIRST_COMPLETED)
            if line.ready.done():
                return line
            cause = line.lost.result() if line.lost.done() else f"not ready after {self._start_seconds:g} s"
            await line.close()
            raise ZygoteFailed(f"the zygote did not start: {cause}")
