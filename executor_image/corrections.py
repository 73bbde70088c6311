"""Circuits of which Aer (0.18) would make wrong counts without a word, written so that it makes the right ones.

It turns the cast of a number to a truth value around. And it keeps the order of what happens along qubits only,
so that a branch without any qubit, which does no more than store, happens whatever its condition says.
"""

from __future__ import annotations

from typing import Any

from qiskit import QuantumCircuit
from qiskit.circuit import ControlFlowOp, IfElseOp, Operation, Qubit, Store, WhileLoopOp
from qiskit.circuit.classical import expr, types

from circuits.composites import rebuilt


def corrected(circuit: QuantumCircuit) -> QuantumCircuit:
    """The circuit as it is to be given to Aer; what it does is the same."""
    circuit = rebuilt(circuit, _without_casts)
    return _on_qubits(circuit) if circuit.has_control_flow_op() else circuit


def _without_casts(operation: Operation) -> Operation:
    made: Operation = operation
    match operation:
        case IfElseOp() if isinstance(operation.condition, expr.Expr):
            made = IfElseOp(_compared(operation.condition), *operation.blocks, label=operation.label)
        case WhileLoopOp() if isinstance(operation.condition, expr.Expr):
            made = WhileLoopOp(_compared(operation.condition), *operation.blocks, label=operation.label)
        case Store():
            made = Store(operation.lvalue, _compared(operation.rvalue))
    return made


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
