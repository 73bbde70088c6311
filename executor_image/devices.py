"""Devices whose recorded noise can be simulated: snapshots of real ones, as targets and noise models.

A snapshot holds a device's own figures (lifetimes, gate and readout errors, durations), not a noise model:
that is a hundred times larger and leaves out what a transpiler needs.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from importlib.resources import files
from types import SimpleNamespace

import msgspec
from qiskit.circuit import (
    BreakLoopOp,
    ContinueLoopOp,
    Delay,
    ForLoopOp,
    IfElseOp,
    Measure,
    Parameter,
    Reset,
    SwitchCaseOp,
    WhileLoopOp,
)
from qiskit.circuit.library import get_standard_gate_name_mapping
from qiskit.providers import QubitProperties
from qiskit.transpiler import InstructionProperties, Target
from qiskit_aer.noise import NoiseModel

from executor_image.failures import Failed
from messages.failure import ExecutorReason

SCHEMA = "quantum.io/device-snapshot/v1"


class QubitFigures(msgspec.Struct, frozen=True, array_like=True):
    """One qubit: lifetimes and readout duration in seconds, frequency in Hz, chances of reading wrongly."""

    t1: float | None
    t2: float | None
    frequency: float | None
    reads_1_for_0: float
    reads_0_for_1: float
    readout_seconds: float | None


class GateFigures(msgspec.Struct, frozen=True, array_like=True):
    """A gate on certain qubits: its duration in seconds and its average error."""

    qubits: tuple[int, ...]
    duration: float | None
    error: float | None


class Snapshot(msgspec.Struct, frozen=True, kw_only=True, tag=SCHEMA, tag_field="schema"):
    """A device on the day that its figures were `taken`. `version` is the device's own, `dt` in seconds."""

    name: str
    version: str
    taken: str
    source: str
    dt: float | None
    qubits: tuple[QubitFigures, ...]
    gates: dict[str, tuple[GateFigures, ...]]


def known_devices() -> list[str]:
    """The names that a noise model may have."""
    folder = files("executor_image.snapshots")
    return sorted(
        entry.name.removesuffix(".json") for entry in folder.iterdir() if entry.name.endswith(".json")
    )


def read_snapshot(name: str, field: str = "spec.execution.noiseModel") -> Snapshot:
    """The snapshot of that name, which `field` asks for.

    Raises:
        Failed: InvalidSpec, with the known names.
    """
    known = known_devices()
    if name not in known:
        raise Failed(
            ExecutorReason.INVALID_SPEC,
            f"there is no device snapshot named {name}; {field} may be {', '.join(known)}",
        )
    content = files("executor_image.snapshots").joinpath(f"{name}.json").read_bytes()
    return msgspec.json.decode(content, type=Snapshot)


Place = tuple[str, tuple[int, ...]]
"""A gate by its name, and the qubits that it acts on."""


def device_target(
    snapshot: Snapshot, qubits: Iterable[int] | None = None, used: Container[Place] | None = None
) -> Target:
    """The device as a transpiler target; with `qubits`, only what acts on them alone, with `used`, only such gates."""
    wanted = set(range(len(snapshot.qubits)) if qubits is None else qubits)
    target = Target(
        num_qubits=len(snapshot.qubits),
        dt=snapshot.dt,
        qubit_properties=[QubitProperties(q.t1, q.t2, q.frequency) for q in snapshot.qubits],
    )
    for name, gates in snapshot.gates.items():
        figures = {
            gate.qubits: InstructionProperties(gate.duration, gate.error)
            for gate in gates
            if wanted.issuperset(gate.qubits) and (used is None or (name, gate.qubits) in used)
        }
        if figures:
            target.add_instruction(_INSTRUCTIONS[name], figures, name)
    readouts = {(q,): _Readout(snapshot.qubits[q]) for q in sorted(wanted)}
    target.add_instruction(Measure(), readouts)
    target.add_instruction(Delay(Parameter("t")), {(q,): None for q in sorted(wanted)})
    if "reset" not in snapshot.gates:
        target.add_instruction(Reset(), {(q,): None for q in sorted(wanted)})
    for name, operation in _CONTROL_FLOW.items():
        target.add_instruction(operation, name=name)
    return target


def noise_model(
    snapshot: Snapshot, qubits: Iterable[int], used: Container[Place] | None = None
) -> NoiseModel:
    """Aer's noise model of the device, for `qubits` only: for all of 127 it would take seconds.

    With `used`, it has the errors of these gates only: the stabilizer method is refused for any that it cannot do.
    """
    target = device_target(snapshot, qubits, used)
    device = SimpleNamespace(
        version=2, target=target, operation_names=list(target.operation_names), dt=snapshot.dt
    )
    return NoiseModel.from_backend(device)


class _Readout(InstructionProperties):  # type: ignore[misc]
    """Aer looks for these two attributes on the properties of `measure`; without them it reads symmetrically."""

    def __new__(cls, qubit: QubitFigures) -> _Readout:
        mean = (qubit.reads_1_for_0 + qubit.reads_0_for_1) / 2
        made: _Readout = super().__new__(cls, qubit.readout_seconds, mean)
        return made

    def __init__(self, qubit: QubitFigures) -> None:
        self.prob_meas1_prep0 = qubit.reads_1_for_0
        self.prob_meas0_prep1 = qubit.reads_0_for_1
        self._qubit = qubit

    def __reduce__(self) -> tuple[type[_Readout], tuple[QubitFigures]]:
        """Aer copies the target for circuits with delays."""
        return _Readout, (self._qubit,)


_INSTRUCTIONS = {**get_standard_gate_name_mapping(), "reset": Reset()}
_CONTROL_FLOW = {
    "break_loop": BreakLoopOp,
    "continue_loop": ContinueLoopOp,
    "if_else": IfElseOp,
    "for_loop": ForLoopOp,
    "while_loop": WhileLoopOp,
    "switch_case": SwitchCaseOp,
}
