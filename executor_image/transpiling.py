"""Transpiling for a simulation method or a device, with pass managers that are built once.

`transpile()` against an AerSimulator rebuilds its target 158 times a call (57 ms; Qiskit/qiskit-aer#2328).
Nor would its targets do: they end at as many qubits as this machine has memory for in a state vector.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

from qiskit import QuantumCircuit
from qiskit.circuit import CircuitInstruction, ControlFlowOp
from qiskit.circuit.library import RZGate
from qiskit.exceptions import QiskitError
from qiskit.transpiler import PassManager, Target, generate_preset_pass_manager
from qiskit_aer import AerSimulator

from circuits.errors import is_fault
from circuits.user_traceback import describe_exception
from circuits.wording import called
from executor_image.failures import Failed
from messages.failure import ExecutorReason

USUAL_WIDTH = 1000
"""Qubits of the ideal targets. Their number is no limit, but building passes for 100,000 takes half a second."""

_STABILIZER = "stabilizer"
_MADE_WRONGLY = {"matrix_product_state": frozenset({"initialize"})}
"""What Aer (0.18) says that a method does, and the method does wrongly: it prepares several qubits that are not all."""

_QUARTER_TURN = math.pi / 2
_ROUNDING = 1e-6
"""Radians by which resynthesis may miss a quarter turn; Aer's stabilizer takes exact ones only."""


@dataclass(frozen=True)
class Transpiled:
    """A circuit for the simulator, and the optimization level that it was made with."""

    circuit: QuantumCircuit
    level: int


@functools.cache
def simulator_target(method: str, width: int) -> Target:
    """What Aer's `method` can do rightly, on `width` qubits that are all connected.

    Raises:
        Failed: InvalidSpec if this build of Aer lacks the method.
    """
    known = AerSimulator().available_methods()
    if method not in known:
        raise Failed(
            ExecutorReason.INVALID_SPEC,
            f"the simulator of this image has no method {method}; spec.execution.method may be {', '.join(known)}",
        )
    narrow = AerSimulator(method=method).target
    target = Target(num_qubits=width)
    for name in narrow.operation_names:
        if name in _MADE_WRONGLY.get(method, ()):
            continue
        operation = narrow.operation_from_name(name)
        target.add_instruction(operation, name=name)
    return target


@functools.cache
def simulator_passes(method: str, level: int, width: int) -> PassManager:
    """The passes for `simulator_target(method, width)`. They draw no random numbers: nothing has to be routed."""
    return generate_preset_pass_manager(level, target=simulator_target(method, width))


def device_passes(target: Target, level: int, seed: int) -> PassManager:
    """The passes for a device: layout and routing depend on `seed`."""
    return generate_preset_pass_manager(level, target=target, seed_transpiler=seed)


def transpile(circuit: QuantumCircuit, passes: PassManager, level: int) -> Transpiled:
    """Run `passes` on `circuit`.

    Raises:
        Failed: CircuitInvalid if it holds something that cannot be put into the target's terms.
    """
    try:
        return Transpiled(passes.run(circuit), level)
    except BaseException as error:
        if not is_fault(error):
            raise
        said = error.message if isinstance(error, QiskitError) else describe_exception(error)
        raise Failed(
            ExecutorReason.CIRCUIT_INVALID, f"{called(circuit.name)} cannot be transpiled: {said}"
        ) from None


def transpile_ideal(circuit: QuantumCircuit, method: str, level: int) -> Transpiled:
    """Transpile for a method of the simulator. Raises Failed as `transpile` does."""
    width = max(USUAL_WIDTH, circuit.num_qubits)
    return transpile(circuit, simulator_passes(method, level, width), level)


def transpile_clifford(circuit: QuantumCircuit, level: int) -> Transpiled | None:
    """Transpile a Clifford circuit so that the stabilizer method still takes it; `None` if that fails."""
    try:
        return in_quarter_turns(level, lambda tried: transpile_ideal(circuit, _STABILIZER, tried))
    except Failed:
        return None


def in_quarter_turns(level: int, made_at: Callable[[int], Transpiled]) -> Transpiled | None:
    """What `made_at` makes at `level` or below so that the stabilizer method takes it; `None` if there is no such.

    From level 2 on, two-qubit blocks are made anew, sometimes from turns that are no quarter turns and undo
    each other. Then the next lower level is taken.
    """
    for tried in range(level, -1, -1):
        made = made_at(tried)
        if _round_to_quarter_turns(made.circuit):
            return made
    return None


def _round_to_quarter_turns(circuit: QuantumCircuit) -> bool:
    """Make turns exact that are a rounding error off; tell whether all are quarter turns now."""
    for index, instruction in enumerate(circuit.data):
        operation = instruction.operation
        if isinstance(operation, ControlFlowOp):
            if not all(_round_to_quarter_turns(block) for block in operation.blocks):
                return False
        elif operation.name == "rz":
            angle = float(operation.params[0])
            turns = round(angle / _QUARTER_TURN)
            if abs(angle - turns * _QUARTER_TURN) > _ROUNDING:
                return False
            exact = RZGate(turns * _QUARTER_TURN)
            circuit.data[index] = CircuitInstruction(exact, instruction.qubits, ())
    return True
