"""Going through the instructions of a circuit, the bodies of control flow and definitions included."""

from __future__ import annotations

import math
from collections.abc import Iterator

from qiskit import QuantumCircuit
from qiskit.circuit import CircuitInstruction, ControlFlowOp, ForLoopOp, Operation, ParameterExpression

ONCE = frozenset({"break_loop", "continue_loop"})
"""Jumps: part of the control flow, nothing that happens to a qubit."""


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


def no_number(circuit: QuantumCircuit) -> tuple[str, float] | None:
    """A gate's name and the parameter of it that is infinite or not a number, or None if there is none."""
    for operation, _ in operations(circuit):
        for value in getattr(operation, "params", ()):
            if isinstance(value, ParameterExpression) and not value.parameters and value.is_real():
                value = float(value)
            if isinstance(value, float) and not math.isfinite(value):
                return operation.name, value
    return None


def measures(circuit: QuantumCircuit) -> bool:
    """Whether a measurement into a classical bit is anywhere in the circuit, composites included."""
    return any(_measures(instruction) for instruction in circuit.data)


def _measures(instruction: CircuitInstruction) -> bool:
    operation = instruction.operation
    if operation.name == "measure":
        return True
    if isinstance(operation, ControlFlowOp):
        return any(measures(block) for block in operation.blocks)
    if not instruction.clbits:
        return False
    definition = getattr(operation, "definition", None)
    return definition is not None and measures(definition)
