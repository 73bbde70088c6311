"""Operations that are what their definition says, whatever they are called; and circuits made of such.

Two things go by names that anybody may give: QPY, which makes some gates of Qiskit's library anew from
parameters that do not say all of them, and the simulator, to which every gate called h is a Hadamard gate.
"""

from __future__ import annotations

from collections.abc import Callable

from qiskit import QuantumCircuit
from qiskit.circuit import (
    AnnotatedOperation,
    Barrier,
    ControlFlowOp,
    ControlledGate,
    Delay,
    Gate,
    Instruction,
    Measure,
    Operation,
    Reset,
    Store,
)
from qiskit.circuit.library import (
    C4XGate,
    DiagonalGate,
    Initialize,
    LinearFunction,
    MCPhaseGate,
    MCXGate,
    PauliGate,
    PermutationGate,
    QFTGate,
    StatePreparation,
    UnitaryGate,
)

from circuits.delays import with_its_unit

Change = Callable[[Operation], Operation]
"""Gives back the operation itself where there is nothing to change."""

_GENERIC = (Gate, Instruction, ControlledGate)
"""The classes of what Qiskit makes out of a circuit, and of what it reads from QPY and knows no other for."""

_CARRIED = frozenset(
    {
        Barrier,
        C4XGate,
        DiagonalGate,
        Initialize,
        LinearFunction,
        MCPhaseGate,
        MCXGate,
        Measure,
        PauliGate,
        PermutationGate,
        QFTGate,
        Reset,
        Store,
        UnitaryGate,
    }
)
"""What QPY gives back as it was, besides the standard gates. Subclasses are others: they hold more."""


def is_composite(operation: Operation) -> bool:
    """Whether only the definition tells what the operation does: its name was chosen by whoever made it."""
    if is_standard(operation):
        return False
    kind = _kind(operation)
    if kind not in _GENERIC and kind.__module__.partition(".")[0] == "qiskit":
        return False
    if getattr(operation, "definition", None) is None:
        return False
    # The only one of the library's that QPY gives back as a generic one, and that the simulator takes by its name.
    return not (kind is ControlledGate and operation.name == "mcx" and is_standard(operation.base_gate))


def is_standard(operation: Operation) -> bool:
    """Whether it is one of the gates that Qiskit itself knows by class and parameters."""
    return getattr(operation, "_standard_gate", None) is not None


def portable(circuit: QuantumCircuit) -> QuantumCircuit:
    """The circuit with its definition in the place of each operation that QPY would lose a part of."""
    return rebuilt(circuit, _portable)


def without_names(circuit: QuantumCircuit) -> QuantumCircuit:
    """The circuit with composites under names that mean nothing to passes and simulator."""
    return rebuilt(circuit, _without_name)


def rebuilt(circuit: QuantumCircuit, change: Change) -> QuantumCircuit:
    """The circuit with `change` made to each operation, within bodies of control flow and modifiers too.

    The circuit itself is left as it is, and returned if nothing changes.
    """
    changed: dict[int, Operation] = {}
    for index, instruction in enumerate(circuit.data):
        if not instruction.is_standard_gate():
            operation = instruction.operation
            made = _within(operation, change)
            if made is not operation:
                changed[index] = made
    if not changed:
        return circuit
    copy = circuit.copy_empty_like()
    for index, instruction in enumerate(circuit.data):
        operation = changed.get(index)
        copy.append(
            instruction if operation is None else instruction.replace(operation=operation), copy=False
        )
    return copy


def _within(operation: Operation, change: Change) -> Operation:
    if isinstance(operation, ControlFlowOp):
        blocks = operation.blocks
        made = [rebuilt(block, change) for block in blocks]
        if any(new is not old for new, old in zip(made, blocks, strict=True)):
            operation = operation.replace_blocks(made)
    elif isinstance(operation, AnnotatedOperation):
        base = _within(operation.base_op, change)
        if base is not operation.base_op:
            operation = AnnotatedOperation(base, operation.modifiers)
    return change(operation)


def _portable(operation: Operation) -> Operation:
    kind = _kind(operation)
    if kind is Delay:
        return with_its_unit(operation)
    if kind is C4XGate and operation.label is not None:  # its label alone cannot be read again
        return C4XGate(ctrl_state=operation.ctrl_state)
    if kind in _CARRIED or isinstance(operation, ControlFlowOp) or is_standard(operation):
        return operation
    if kind is StatePreparation and operation.name == "state_preparation":  # no inverse of one
        return operation
    definition = getattr(operation, "definition", None)
    if definition is None:
        return operation
    inner = portable(definition)
    generic = kind in (Gate, Instruction) or (kind is ControlledGate and is_standard(operation.base_gate))
    if generic and inner is definition:
        return operation
    return _composite(operation, operation.name, inner)


def _without_name(operation: Operation) -> Operation:
    if not is_composite(operation):
        return operation
    return _composite(operation, "composite", without_names(operation.definition))


def _kind(operation: Operation) -> type:
    """The class without Qiskit's own for what exists once."""
    kind: type = getattr(operation, "base_class", type(operation))
    return kind


def _composite(operation: Instruction, name: str, definition: QuantumCircuit) -> Instruction:
    made = (
        Gate(name, operation.num_qubits, [])
        if isinstance(operation, Gate)
        else Instruction(name, operation.num_qubits, operation.num_clbits, [])
    )
    made.definition = definition
    return made
