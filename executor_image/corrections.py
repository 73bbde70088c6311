"""Circuits of which Aer (0.18) would make wrong counts without a word, written so that it makes the right ones.

It turns the cast of a number to a truth value around. It compares a register with the last bits of a number that is
too large for it. And it keeps the order of what happens along qubits only, so that a branch without any qubit, which
does no more than store, happens whatever its condition says. It finds no bits without a register within branches. It
applies all errors of reading after all measurements, also those of a measurement whose bit another has overwritten.

The transpiler takes inverses before powers, which is another gate where it has to choose one of two roots.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from qiskit import QuantumCircuit
from qiskit.circuit import (
    AnnotatedOperation,
    ClassicalRegister,
    Clbit,
    ControlFlowOp,
    ControlModifier,
    IfElseOp,
    Operation,
    PowerModifier,
    Qubit,
    Store,
    SwitchCaseOp,
    WhileLoopOp,
)
from qiskit.circuit.annotated_operation import Modifier
from qiskit.circuit.classical import expr, types
from qiskit.circuit.library import UnitaryGate
from qiskit.quantum_info import Operator

from circuits.composites import rebuilt


def corrected(circuit: QuantumCircuit) -> QuantumCircuit:
    """The circuit as it is to be given to Aer; what it does is the same."""
    circuit = rebuilt(circuit, _without_casts)
    return _on_qubits(_with_outer_bits(circuit, {})) if circuit.has_control_flow_op() else circuit


def with_spare_bits(circuit: QuantumCircuit) -> QuantumCircuit:
    """The circuit as it is to be given to Aer with a noise model: what is overwritten unread goes to bits of its own.

    These come after all others, so that they are the first digits of a key.
    """
    spare: set[int] = set()
    last: dict[Clbit, int] = {}
    for index, instruction in enumerate(circuit.data):
        if instruction.name != "measure":
            for bit in instruction.clbits:
                last.pop(bit, None)
            continue
        (bit,) = instruction.clbits
        if bit in last:
            spare.add(last[bit])
        last[bit] = index
    if not spare:
        return circuit
    copy = circuit.copy_empty_like()
    for index, instruction in enumerate(circuit.data):
        if index in spare:
            bit = Clbit()
            copy.add_bits([bit])
            instruction = instruction.replace(clbits=(bit,))
        copy.append(instruction, copy=False)
    return copy


def with_whole_memory(circuit: QuantumCircuit) -> QuantumCircuit:
    """The circuit as it is to be given to Aer where conditions look at bits that nothing is measured into.

    Where Aer leaves out qubits, it leaves out all bits after the last that is measured, whatever looks at them. So the
    circuit ends with a measurement into a spare bit.
    """
    copy = circuit.copy()
    bit = Clbit()
    copy.add_bits([bit])
    copy.measure(_in_use(circuit)[0], bit)
    return copy


def with_whole_branches(circuit: QuantumCircuit) -> QuantumCircuit:
    """The circuit as it is to be given to Aer where control flow acts on qubits that no measurement can see.

    Aer leaves these out, and with them the places that the control flow jumps to. So the circuit ends with measurements
    of them into spare bits: to leave out no qubit at all would take memory for every one that a device has.
    """
    copy = circuit.copy()
    flow = [one for one in circuit.data if isinstance(one.operation, ControlFlowOp)]
    for qubit in dict.fromkeys(qubit for one in flow for qubit in one.qubits):
        bit = Clbit()
        copy.add_bits([bit])
        copy.measure(qubit, bit)
    return copy


def with_true_powers(circuit: QuantumCircuit) -> QuantumCircuit:
    """The circuit with roots of which there are inverses, or other powers, as matrices."""
    return rebuilt(circuit, _true_power)


def _true_power(operation: Operation) -> Operation:
    base, modifiers = operation, list[Modifier]()
    while isinstance(base, AnnotatedOperation):
        base, modifiers = base.base_op, [*base.modifiers, *modifiers]
    controls = [one for one in modifiers if isinstance(one, ControlModifier)]
    others = [one for one in modifiers if not isinstance(one, ControlModifier)]
    powers = [float(one.power) for one in others if isinstance(one, PowerModifier)]
    if all(power.is_integer() for power in powers) or (len(others) == 1 and powers[0] > 0):
        return operation
    made: Operation = UnitaryGate(Operator(AnnotatedOperation(base, others).to_matrix()))
    return AnnotatedOperation(made, controls) if controls else made


def _without_casts(operation: Operation) -> Operation:
    made: Operation = operation
    match operation:
        case IfElseOp() if _never(operation.condition):
            made = IfElseOp(expr.lift(False), *operation.blocks, label=operation.label)
        case WhileLoopOp() if _never(operation.condition):
            made = WhileLoopOp(expr.lift(False), *operation.blocks, label=operation.label)
        case IfElseOp() if isinstance(operation.condition, expr.Expr):
            made = IfElseOp(_compared(operation.condition), *operation.blocks, label=operation.label)
        case WhileLoopOp() if isinstance(operation.condition, expr.Expr):
            made = WhileLoopOp(_compared(operation.condition), *operation.blocks, label=operation.label)
        case Store():
            made = Store(operation.lvalue, _compared(operation.rvalue))
    return made


def _never(condition: Any) -> bool:
    """Whether a register would have to be a number that has more bits."""
    match condition:
        case (ClassicalRegister() as register, int() as value):
            return value >> len(register) != 0
    return False


def _compared(node: Any) -> Any:
    """The expression with a comparison to zero in the place of each cast of a number to a truth value."""
    match node:
        case expr.Cast():
            operand = _compared(node.operand)
            if isinstance(node.type, types.Bool) and isinstance(operand.type, types.Uint):
                return expr.not_equal(operand, expr.Value(0, operand.type))
            return expr.Cast(operand, node.type, node.implicit)
        case expr.Unary():
            return expr.Unary(node.op, _compared(node.operand), node.type)
        case expr.Binary():
            return expr.Binary(node.op, _compared(node.left), _compared(node.right), node.type)
    return node


def _with_outer_bits(circuit: QuantumCircuit, outer: Mapping[Clbit, Clbit]) -> QuantumCircuit:
    """The circuit on the bits that its own stand for, as Aer takes for granted of all that conditions look at."""
    bits = [outer.get(bit, bit) for bit in circuit.clbits]
    registers = [_moved(register, outer) for register in circuit.cregs]
    copy = QuantumCircuit(circuit.qubits, bits, *circuit.qregs, *registers, global_phase=circuit.global_phase)
    for instruction in circuit.data:
        operation = instruction.operation
        clbits = [outer.get(bit, bit) for bit in instruction.clbits]
        if isinstance(operation, ControlFlowOp):
            blocks = [
                _with_outer_bits(block, dict(zip(block.clbits, clbits, strict=True)))
                for block in operation.blocks
            ]
            operation = operation.replace_blocks(blocks)
        copy.append(_looking_at(operation, outer), instruction.qubits, clbits, copy=False)
    return copy


def _looking_at(operation: Operation, outer: Mapping[Clbit, Clbit]) -> Operation:
    made: Operation = operation
    match operation:
        case IfElseOp():
            made = IfElseOp(_moved(operation.condition, outer), *operation.blocks, label=operation.label)
        case WhileLoopOp():
            made = WhileLoopOp(_moved(operation.condition, outer), *operation.blocks, label=operation.label)
        case SwitchCaseOp():
            cases = operation.cases_specifier()
            made = SwitchCaseOp(_moved(operation.target, outer), cases, label=operation.label)
        case Store():
            made = Store(_moved(operation.lvalue, outer), _moved(operation.rvalue, outer))
    return made


def _moved(looked_at: Any, outer: Mapping[Clbit, Clbit]) -> Any:
    match looked_at:
        case Clbit():
            return outer.get(looked_at, looked_at)
        case ClassicalRegister() if any(outer.get(bit, bit) is not bit for bit in looked_at):
            return ClassicalRegister(name=looked_at.name, bits=[outer.get(bit, bit) for bit in looked_at])
        case (Clbit() | ClassicalRegister() as place, value):
            return _moved(place, outer), value
        case expr.Var() if isinstance(looked_at.var, Clbit | ClassicalRegister):
            return expr.Var(_moved(looked_at.var, outer), looked_at.type)
        case expr.Cast():
            return expr.Cast(_moved(looked_at.operand, outer), looked_at.type, looked_at.implicit)
        case expr.Unary():
            return expr.Unary(looked_at.op, _moved(looked_at.operand, outer), looked_at.type)
        case expr.Binary():
            left, right = _moved(looked_at.left, outer), _moved(looked_at.right, outer)
            return expr.Binary(looked_at.op, left, right, looked_at.type)
    return looked_at


def _on_qubits(circuit: QuantumCircuit) -> QuantumCircuit:
    """The circuit with a qubit that is in use anyway for each control flow that has none."""
    copy = circuit.copy_empty_like()
    for instruction in circuit.data:
        operation = instruction.operation
        if isinstance(operation, ControlFlowOp):
            qubits, blocks = instruction.qubits, operation.blocks
            if not qubits:
                qubits, blocks = _in_use(circuit), tuple(_with_a_qubit(block) for block in blocks)
            operation = operation.replace_blocks([_on_qubits(block) for block in blocks])
            copy.append(operation, qubits, instruction.clbits, copy=False)
        else:
            copy.append(instruction, copy=False)
    return copy


def _in_use(circuit: QuantumCircuit) -> list[Qubit]:
    used = [qubit for instruction in circuit.data for qubit in instruction.qubits]
    return (used or circuit.qubits)[:1]


def _with_a_qubit(block: QuantumCircuit) -> QuantumCircuit:
    copy = block.copy_empty_like()
    copy.add_bits([Qubit()])
    for instruction in block.data:
        copy.append(instruction, copy=False)
    return copy
