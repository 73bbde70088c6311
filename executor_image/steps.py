"""What the supervisor asks of its children and what they answer, as MessagePack.

    Build     ──▶ child runs the user's code ──▶ Built | Refused
    Simulate  ──▶ child runs what was built  ──▶ Stage…, Ran for each circuit, Done | Refused

They are two children, so that no user code is alive where counts come from. All answers of the first one
are the user's word: it may forge them, and gains nothing by it but other circuits of its own.
"""

from __future__ import annotations

import msgspec

from messages.circuit import CircuitFacts, Source
from messages.failure import Failure
from messages.work import Execution, Stage

ANSWER_BYTES = 64 << 20
"""Bytes of frozen circuits, and of results, that a job may have. The supervisor holds them in memory."""


class Build(msgspec.Struct, frozen=True, tag="build"):
    """Build the circuits of a source and freeze them. `noise` says that a device's noise will be simulated."""

    source: Source
    noise: bool = False


class Built(msgspec.Struct, frozen=True, tag="built"):
    """The circuits as QPY, and for each the values that its parameters were bound to."""

    qpy: bytes
    parameters: tuple[dict[str, float], ...]


class Simulate(msgspec.Struct, frozen=True, kw_only=True, tag="simulate"):
    """Run frozen circuits, none of more qubits than `most_qubits`. Both seeds of `execution` are set.

    `memory_bytes` is what states may take, `pod_overhead_bytes` what the pod needs beyond; `threads` how many
    threads the simulator may use. With `keep_circuits` the transpiled circuits come back as QPY.
    """

    built: Built
    execution: Execution
    memory_bytes: int
    pod_overhead_bytes: int
    threads: int
    keep_circuits: bool
    most_qubits: int | None = None


class Reached(msgspec.Struct, frozen=True, tag="reached"):
    """A stage has begun, or one more circuit is done in it."""

    stage: Stage
    circuits_done: int
    circuits_total: int


class Ran(msgspec.Struct, frozen=True, kw_only=True, tag="ran"):
    """One circuit's run. Times in seconds; `optimization_level` is the one that was used."""

    facts: CircuitFacts
    parameters: dict[str, float]
    method: str
    counts: dict[str, int]
    seed_simulator: int
    optimization_level: int
    transpiled_depth: int
    transpiled_gates: int
    transpile_seconds: float
    execution_seconds: float


class Done(msgspec.Struct, frozen=True, kw_only=True, tag="done"):
    """All circuits have run. `versions` by package name; `device` describes the snapshot if there was one."""

    versions: dict[str, str]
    device: dict[str, str] | None
    qpy: bytes | None


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """The step cannot be done, for a reason that another attempt would not mend."""

    failure: Failure


Step = Build | Simulate
Answer = Built | Reached | Ran | Done | Refused

encode = msgspec.msgpack.encode


def decode_step(content: bytes) -> Step:
    """Read what the supervisor asks."""
    step: Step = msgspec.msgpack.decode(content, type=Step)
    return step


def decode_answer(content: bytes) -> Answer:
    """Read what a child answers. Raises one of UNREADABLE for anything else."""
    answer: Answer = msgspec.msgpack.decode(content, type=Answer)
    return answer
