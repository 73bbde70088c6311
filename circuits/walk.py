"""Going through the instructions of a circuit, the bodies of control flow and definitions included."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import (
    AnnotatedOperation,
    CircuitInstruction,
    ControlFlowOp,
    Delay,
    ForLoopOp,
    Instruction,
    Operation,
    ParameterExpression,
)
from qiskit.circuit.classical import expr

from circuits.composites import is_composite, is_standard

ONCE = frozenset({"break_loop", "continue_loop"})
"""Jumps: part of the control flow, nothing that happens to a qubit."""

# fmt: off
_SAID_BY_PARAMETERS = frozenset((
    "barrier", "delay", "diagonal", "initialize", "measure", "pauli", "reset", "state_preparation", "store",
    "unitary",
))
# fmt: on
"""What is said by name and parameters alone, besides the standard gates. Some definitions are costly."""


def operations(circuit: QuantumCircuit, times: int = 1) -> Iterator[tuple[Operation, int]]:
    """Every operation that is not control flow itself, and how often it is run.

    The body of a for loop counts as often as the loop runs; each branch of an if or a switch, and the body
    of a while loop, counts once: how often they run is known only afterwards.
    """
    for instruction in circuit.data:
        operation = instruction.operation
        if isinstance(operation, ControlFlowOp):
            inner = times * len(operation.params[0]) if isinstance(operation, ForLoopOp) else times
            for block in operation.blocks:
                yield from operations(block, inner)
        elif operation.name not in ONCE:
            yield operation, times


def says_all(operation: Instruction) -> bool:
    """Whether name and parameters tell what the operation does, so that its definition need not be looked at."""
    if isinstance(operation, ControlFlowOp) or is_standard(operation):
        return True
    return operation.name in _SAID_BY_PARAMETERS and not is_composite(operation)


def no_number(circuit: QuantumCircuit) -> tuple[str, float] | None:
    """A gate's name and the parameter of it that is infinite or not a number, or None if there is none.

    Composites are looked into, and arrays too: Aer makes counts of what is no number all the same.
    """
    phase = _not_finite(circuit.global_phase)
    if phase is not None:
        return "global_phase", phase
    found = (_no_number_in(instruction.operation) for instruction in circuit.data)
    return next((odd for odd in found if odd is not None), None)


def _no_number_in(operation: Operation) -> tuple[str, float] | None:
    while isinstance(operation, AnnotatedOperation):
        operation = operation.base_op
    for value in getattr(operation, "params", ()):
        odd = _not_finite(value)
        if odd is not None:
            return operation.name, odd
    if isinstance(operation, ControlFlowOp):
        found = (no_number(block) for block in operation.blocks)
        return next((odd for odd in found if odd is not None), None)
    if says_all(operation):
        return None
    definition = getattr(operation, "definition", None)
    return None if definition is None else no_number(definition)


def _not_finite(value: object) -> float | None:
    """`value` or a part of it, if that is infinite or not a number."""
    if isinstance(value, ParameterExpression):
        if value.parameters or not value.is_real():
            return None
        value = float(value)
    if isinstance(value, float | np.floating):
        return None if math.isfinite(value) else float(value)
    if isinstance(value, np.ndarray) and value.dtype.kind in "fc":
        odd = value[~np.isfinite(value)]
        if odd.size:
            return next(float(part) for part in (odd[0].real, odd[0].imag) if not math.isfinite(part))
    return None


def waits_by_number(circuit: QuantumCircuit) -> bool:
    """Whether there is a delay by a mere number, composites included. No time is the same in any unit."""
    return any(_waits_by_number(instruction.operation) for instruction in circuit.data)


def _waits_by_number(operation: Operation) -> bool:
    if isinstance(operation, Delay):
        return not isinstance(operation.duration, expr.Expr) and operation.duration != 0
    if isinstance(operation, ControlFlowOp):
        return any(waits_by_number(block) for block in operation.blocks)
    if says_all(operation):
        return False
    definition = getattr(operation, "definition", None)
    return definition is not None and waits_by_number(definition)


def measures(circuit: QuantumCircuit) -> bool:
    """Whether a measurement into a classical bit is anywhere in the circuit, composites included."""
    return any(_measures(instruction) for instruction in circuit.data)


def _measures(instruction: CircuitInstruction) -> bool:
    operation = instruction.operation
    if operation.name == "measure" and not is_composite(operation):
        return True
    if isinstance(operation, ControlFlowOp):
        return any(measures(block) for block in operation.blocks)
    if not instruction.clbits:
        return False
    definition = getattr(operation, "definition", None)
    return definition is not None and measures(definition)
