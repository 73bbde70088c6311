"""What Qiskit's circuits may hold and Aer (0.18) does not run, in the words of whoever wrote it.

Its own errors name its inner parts, and are the same for every such circuit. docs/limits.md lists these.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from qiskit import QuantumCircuit
from qiskit.circuit import (
    BoxOp,
    ControlFlowOp,
    Delay,
    ForLoopOp,
    IfElseOp,
    Operation,
    Store,
    SwitchCaseOp,
    WhileLoopOp,
)
from qiskit.circuit.classical import expr, types
from qiskit.circuit.library import WeightedSumGate

_LOGIC = frozenset(
    {
        expr.Binary.Op.BIT_AND,
        expr.Binary.Op.BIT_OR,
        expr.Binary.Op.BIT_XOR,
        expr.Binary.Op.LOGIC_AND,
        expr.Binary.Op.LOGIC_OR,
        expr.Binary.Op.EQUAL,
        expr.Binary.Op.NOT_EQUAL,
        expr.Binary.Op.LESS,
        expr.Binary.Op.LESS_EQUAL,
        expr.Binary.Op.GREATER,
        expr.Binary.Op.GREATER_EQUAL,
    }
)

_UINT_BITS = 32
"""Of wider numbers Aer loses or confuses bits without a word. Comparing a whole register with a number is no
expression, and right at any width."""


def unsupported(circuit: QuantumCircuit) -> str | None:
    """The first thing in the circuit, bodies of control flow included, that the simulator cannot run."""
    if circuit.num_declared_vars:
        return "a variable (add_var)"
    if circuit.num_declared_stretches:
        return "a stretch (add_stretch)"
    found = (one for instruction in circuit.data for one in _in_operation(instruction.operation))
    return next(found, None)


def _in_operation(operation: Operation) -> Iterator[str]:
    match operation:
        case BoxOp():
            yield "a box"
        case SwitchCaseOp() if isinstance(operation.target, expr.Expr):
            if not isinstance(operation.target, expr.Var):
                yield "a switch on an expression"
            yield from _in_expression(operation.target)
        case IfElseOp() | WhileLoopOp():
            yield from _in_expression(operation.condition)
        case Store():
            yield from _in_expression(operation.lvalue)
            yield from _in_expression(operation.rvalue)
        case ForLoopOp():
            indices = operation.params[0]
            if not isinstance(indices, range) and len(set(indices)) < len(indices):
                yield "a for loop over a set with the same number twice"
        case Delay() if isinstance(operation.duration, expr.Expr):
            if not isinstance(operation.duration, expr.Value):
                yield "a delay by an expression"
        case WeightedSumGate():
            yield "a WeightedSumGate"
    if isinstance(operation, ControlFlowOp):
        for block in operation.blocks:
            inner = unsupported(block)
            if inner is not None:
                yield inner


def _in_expression(node: Any) -> Iterator[str]:
    if isinstance(node, expr.Expr) and isinstance(node.type, types.Uint) and node.type.width > _UINT_BITS:
        yield f"an expression with a number of more than {_UINT_BITS} bits"
    match node:
        case expr.Index():
            yield "an expression with an index"
        case expr.Value() if not isinstance(node.type, types.Bool | types.Uint):
            yield "an expression with a number that is not whole"
        case expr.Binary():
            if node.op not in _LOGIC:
                yield "an expression with arithmetic or a shift"
            yield from _in_expression(node.left)
            yield from _in_expression(node.right)
        case expr.Unary() | expr.Cast():
            yield from _in_expression(node.operand)
