"""One attempt at one job, from the work order to all its counts: build in one child, run in another."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from executor_image.console import UserOutput
from executor_image.document import Run
from executor_image.failures import Failed
from executor_image.memory import child_bytes, pod_overhead_bytes, state_bytes
from executor_image.outcomes import built_answer, check_end, forged, refusal
from executor_image.settings import Settings
from executor_image.steps import (
    ANSWER_BYTES,
    Answer,
    Build,
    Built,
    Done,
    Ran,
    Reached,
    Refused,
    Simulate,
    decode_answer,
    encode,
)
from messages.circuit import CIRCUITS_LIMIT
from messages.failure import ExecutorReason
from messages.unreadable import UNREADABLE
from messages.work import Execution, Stage, WorkOrder
from sandbox import Outcome, SandboxPolicy, SandboxUnavailable, Zygote, ZygoteFailed

SEED_BITS = 31
"""Width of the seeds that are drawn: any language's int holds them, so that they can be copied into a spec."""

Reach = Callable[[Stage, int, int], None]
"""Told of each step forward: the stage, circuits done, circuits in all."""


@dataclass
class Attempt:
    """Carries out `order`. The clock for its time limit starts with the construction; `deadline` is its end."""

    settings: Settings
    zygote: Zygote
    order: WorkOrder
    reach: Reach
    console: UserOutput = field(default_factory=UserOutput)
    monotonic: Callable[[], float] = field(default=time.monotonic)

    def __post_init__(self) -> None:
        self._started = datetime.now(UTC)
        self.deadline = self.monotonic() + self.order.execution.max_execution_seconds
        self._answers: list[Answer] = []
        self._broken = False

    async def carry_out(self) -> Run:
        """Build and run everything.

        Raises:
            Failed: for whatever goes wrong, with what to do about it.
        """
        self.reach(Stage.BUILDING, 0, 0)
        folder = self.settings.work_dir / "code"
        folder.mkdir(exist_ok=True)
        build = Build(self.order.source, noise=self.order.execution.noise_model is not None)
        building = await self._in_child(encode(build), (folder,), Stage.BUILDING)
        built = built_answer(building)
        if isinstance(built, Refused):
            raise refusal(built, of_build=True)
        if not isinstance(built, Built) or not 0 < len(built.parameters) <= CIRCUITS_LIMIT:
            raise forged()
        running = await self._in_child(encode(self._simulation(built)), (), Stage.RUNNING, self._take)
        circuits = [answer for answer in self._answers if isinstance(answer, Ran)]
        done = self._answers[-1] if self._answers else None
        if self._broken or not isinstance(done, Done) or len(circuits) != len(built.parameters):
            raise Failed(ExecutorReason.EXECUTOR_CRASHED, "the simulation ended without all of its results")
        return Run(
            order=msgspec.structs.replace(self.order, execution=self._execution),
            pod_uid=self.settings.pod_uid,
            circuits=circuits,
            done=done,
            started=self._started,
            ended=datetime.now(UTC),
            build_seconds=building.wall_seconds,
            peak_memory_bytes=max(building.peak_rss_bytes, running.peak_rss_bytes),
            cpu_seconds=building.cpu_seconds + running.cpu_seconds,
        )

    def _simulation(self, built: Built) -> Simulate:
        order, limits = self.order, self.order.limits
        given = order.execution
        self._execution: Execution = msgspec.structs.replace(
            given,
            seed_simulator=_drawn(given.seed_simulator),
            seed_transpiler=_drawn(given.seed_transpiler),
        )
        return Simulate(
            built=built,
            execution=self._execution,
            memory_bytes=state_bytes(limits.memory_bytes),
            pod_overhead_bytes=pod_overhead_bytes(),
            threads=self.settings.threads,
            keep_circuits=order.output.format == "qpy",
            most_qubits=limits.qubits,
        )

    async def _in_child(
        self,
        payload: bytes,
        writable: tuple[Path, ...],
        stage: Stage,
        on_message: Callable[[bytes], None] | None = None,
    ) -> Outcome:
        limit, seconds = self.order.limits.memory_bytes, self.order.execution.max_execution_seconds
        policy = SandboxPolicy(
            writable=writable,
            memory_bytes=child_bytes(limit, self.settings.threads),
            relax=self.settings.sandbox_relax,
        )
        try:
            outcome = await self.zygote.run(
                payload,
                policy,
                wall_seconds=max(0.0, self.deadline - self.monotonic()),
                output_bytes=None,
                message_bytes=ANSWER_BYTES,
                on_message=on_message,
                on_output=self.console,
            )
        except SandboxUnavailable as error:
            raise Failed(ExecutorReason.SANDBOX_UNAVAILABLE, str(error)) from error
        except ZygoteFailed as error:
            raise Failed(ExecutorReason.EXECUTOR_LOST, f"the executor lost its zygote: {error}") from error
        refused = next((answer for answer in self._answers if isinstance(answer, Refused)), None)
        if refused is not None:
            raise refusal(refused, of_build=False)
        check_end(outcome, stage, seconds, limit)
        return outcome

    def _take(self, message: bytes) -> None:
        """Keep an answer of the run as it comes, so that progress is seen while it goes on."""
        try:
            answer = decode_answer(message)
        except UNREADABLE:
            self._broken = True
            return
        if isinstance(answer, Reached):
            self.reach(answer.stage, answer.circuits_done, answer.circuits_total)
        else:
            self._answers.append(answer)


def _drawn(seed: int | None) -> int:
    return secrets.randbits(SEED_BITS) if seed is None else seed
