"""Which simulation method a circuit gets, and the memory that it takes.

The choice is Aer's automatic one, made before transpiling: a Clifford circuit stays one only if it is
transpiled for the stabilizer method, since the passes for Aer's default target turn its gates into u1, u2
and u3, for which Aer then needs a state vector.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from qiskit import QuantumCircuit
from qiskit.circuit import ControlFlowOp, Operation, ParameterExpression

from circuits.composites import is_composite
from circuits.width import simulated_qubits

AUTOMATIC = "automatic"

COMPLEX_BYTES = 16
"""Bytes of one amplitude in double precision."""

_DENSITY_MATRIX_QUBITS = 30
"""Aer takes the density matrix only below this width (its `automatic_simulation_method`)."""

# fmt: off
_CLIFFORD = frozenset((
    "barrier", "break_loop", "clifford", "continue_loop", "cx", "cy", "cz", "delay", "ecr", "h", "id",
    "measure", "pauli", "reset", "s", "sdg", "store", "swap", "sx", "sxdg", "x", "y", "z",
))
_CLIFFORD_AT_RIGHT_ANGLES = frozenset((
    "p", "r", "rx", "rxx", "ry", "ryy", "rz", "rzx", "rzz", "u", "u1", "u2", "u3",
))
_NEVER_CLIFFORD = frozenset((
    "diagonal", "initialize", "kraus", "multiplexer", "qft", "quantum_channel", "state_preparation",
    "superop", "t", "tdg", "unitary",
))
# fmt: on
"""Not Clifford, or not worth the synthesis that would tell."""

_ANGLE_TOLERANCE = 1e-9


def choose_method(
    circuit: QuantumCircuit, requested: str = AUTOMATIC, noise: bool = False, shots: int = 1024
) -> str:
    """The method that `circuit` is simulated with; `requested` unless that is `automatic`.

    `noise` stands for a device's noise model, which is never Clifford. Then the density matrix is taken if
    one run of it is cheaper than `shots` runs of a state vector.
    """
    if requested != AUTOMATIC:
        return requested
    if noise:
        qubits = simulated_qubits(circuit)
        few = qubits < _DENSITY_MATRIX_QUBITS and shots > 1 << qubits
        return "density_matrix" if few and _measures_at_the_end(circuit) else "statevector"
    return "stabilizer" if is_clifford(circuit) else "statevector"


def is_clifford(circuit: QuantumCircuit) -> bool:
    """Whether the stabilizer method can simulate the circuit, its control flow included."""
    return all(_is_clifford(instruction.operation) for instruction in circuit.data)


def memory_bytes(method: str, qubits: int) -> int | None:
    """Bytes of the state that `method` keeps, beyond the process itself; `None` where the circuit decides."""
    if method == "statevector":
        return COMPLEX_BYTES << qubits
    if method in ("density_matrix", "unitary"):
        return COMPLEX_BYTES << 2 * qubits
    if method == "superop":
        return COMPLEX_BYTES << 4 * qubits
    if method == "stabilizer":
        return 2 * qubits * (2 * qubits + 1) // 8 + 1
    return None


def _is_clifford(operation: Operation) -> bool:
    name = operation.name
    if is_composite(operation):
        return is_clifford(operation.definition)
    if name in _CLIFFORD:
        return True
    if name in _NEVER_CLIFFORD:
        return False
    if name in _CLIFFORD_AT_RIGHT_ANGLES:
        return _right_angles(operation.params)
    if isinstance(operation, ControlFlowOp):
        return all(is_clifford(block) for block in operation.blocks)
    definition = getattr(operation, "definition", None)
    return definition is not None and is_clifford(definition)


def _right_angles(angles: Sequence[Any]) -> bool:
    for angle in angles:
        if isinstance(angle, ParameterExpression) and angle.parameters:
            return False
        turns = float(angle) / (math.pi / 2)
        if not math.isfinite(turns) or abs(turns - round(turns)) > _ANGLE_TOLERANCE:
            return False
    return True


def _measures_at_the_end(circuit: QuantumCircuit) -> bool:
    """Whether nothing happens to a qubit after its measurement, so that one final state gives all shots."""
    measured = set()
    for instruction in circuit.data:
        operation = instruction.operation
        if isinstance(operation, ControlFlowOp) or operation.name == "reset":
            return False
        if operation.name == "measure":
            measured.update(instruction.qubits)
        elif operation.name not in ("barrier", "delay") and not measured.isdisjoint(instruction.qubits):
            return False
    return True
