"""OpenQASM 3 as its specification has it, where Qiskit's converter (0.6) reads something else without a word.

It hands a gate its values in the order of the parameters' names, leaves out the global phases of U, u2 and u3, which
a control makes visible, takes a slice that ends at -1 or counts down to 0 for an empty one, cuts slices at the ends
of their register, and rounds quotients of whole numbers or not, depending on where they stand.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from openqasm3 import ast, parser
from qiskit import QuantumCircuit
from qiskit.circuit import Gate
from qiskit.circuit.library import U2Gate, U3Gate, UGate
from qiskit_qasm3_import import types
from qiskit_qasm3_import.converter import ConvertVisitor, GateBuilder
from qiskit_qasm3_import.data import Scope
from qiskit_qasm3_import.exceptions import raise_from_node
from qiskit_qasm3_import.expression import ValueResolver
from qiskit_qasm3_import.state import State

_Value = Any
"""What an expression is worth, and its type."""


def parse(text: str) -> QuantumCircuit:
    """The circuit of a program. Raises what parser and converter raise."""
    circuit: QuantumCircuit = _Converter().convert(parser.parse(text), source=text).circuit
    return circuit


def _with_phase(base: Callable[..., Gate], phase: Callable[..., Any]) -> Callable[..., Gate]:
    def build(*angles: Any) -> Gate:
        definition = QuantumCircuit(1, global_phase=phase(*angles))
        definition.append(base(*angles), [0])
        return definition.to_gate()

    return build


_PHASED = {
    UGate: _with_phase(UGate, lambda theta, _phi, _lam: theta / 2),
    U2Gate: _with_phase(U2Gate, lambda phi, lam: -(phi + lam) / 2),
    U3Gate: _with_phase(U3Gate, lambda _theta, phi, lam: -(phi + lam) / 2),
}
"""Qiskit's gates of these names, with what they lack of those of the specification."""


class _Converter(ConvertVisitor):  # type: ignore[misc]  # it has no types
    def visit_QuantumGateDefinition(self, node: ast.QuantumGateDefinition, context: State) -> State:  # noqa: N802
        context = super().visit_QuantumGateDefinition(node, context)
        symbol = context.symbol_table.get(node.name.name, node)
        definition = symbol.data._definition
        by_name = {parameter.name: parameter for parameter in definition.parameters}
        order = [by_name[argument.name] for argument in node.arguments]
        symbol.data = GateBuilder(node.name.name, definition, order)
        return context

    def visit_QuantumGate(self, node: ast.QuantumGate, context: State) -> State:  # noqa: N802
        symbol = context.symbol_table.get(node.name.name, node)
        phased = _PHASED.get(symbol.data) if symbol is not None and isinstance(symbol.data, type) else None
        if phased is None or not (node.modifiers or context.scope is Scope.GATE):
            return super().visit_QuantumGate(node, context)  # a phase of the whole circuit: nobody sees it
        plain, symbol.data = symbol.data, phased
        try:
            return super().visit_QuantumGate(node, context)
        finally:
            symbol.data = plain

    def _resolve_generic(self, node: ast.Expression, context: State, strict: bool) -> _Value:
        return _Values(context, strict).resolve(node)

    def _resolve_constant_float(self, node: ast.Expression, context: State) -> Any:
        """The exponent of a power: of all numbers the one that the specification writes 1/2."""
        value, kind = _Values(context, True, exact=True).resolve(node)
        if not isinstance(kind, types.Int | types.Uint | types.Float) or not kind.const:
            raise_from_node(node, "required a constant floating-point number")
        return value

    def _resolve_condition(self, node: ast.Expression, context: State) -> Any:
        for part in _sides(node):
            _Values(context).resolve(part)
        return super()._resolve_condition(node, context)


def _sides(node: ast.Expression) -> list[ast.Expression]:
    match node:
        case ast.BinaryExpression():
            return [node.lhs, node.rhs] if node.op.name in ("==", "!=") else []
        case ast.UnaryExpression():
            return [node.expression]
    return [node]


class _Values(ValueResolver):  # type: ignore[misc]  # it has no types
    def __init__(self, context: State, strict: bool = True, *, exact: bool = False) -> None:
        super().__init__(context, strict)
        self._exact = exact
        self._known: dict[int, _Value] = {}

    def visit(self, node: ast.QASMNode, context: None = None) -> _Value:
        """Each node once: what looks at the parts of an expression again would double the work at every level."""
        if id(node) not in self._known:
            self._known[id(node)] = super().visit(node, context)
        return self._known[id(node)]

    def visit_BinaryExpression(self, node: ast.BinaryExpression) -> _Value:  # noqa: N802
        if node.op.name != "/":
            return super().visit_BinaryExpression(node)
        (left, left_type), (right, right_type) = self.visit(node.lhs), self.visit(node.rhs)
        whole = types.Int | types.Uint
        if not (isinstance(left_type, whole) and isinstance(right_type, whole)):
            return super().visit_BinaryExpression(node)
        const = left_type.const and right_type.const
        if self._exact:
            return left / right, types.Float(const)
        if not const or left % right:
            raise_from_node(
                node,
                "a whole number divided by a whole number is rounded in OpenQASM 3; write one of them as a float, "
                "as in 1.0/2",
            )
        return left // right, types.Int(const)

    def _index_collection(self, collection: Any, kind: types.Type, indexer: Any, base: ast.QASMNode) -> Any:
        if isinstance(kind, types.BitArray | types.QubitArray) and isinstance(indexer, list):
            for index in indexer:
                if isinstance(index, ast.RangeDefinition):
                    self._keep_both_ends(index, len(collection))
        return super()._index_collection(collection, kind, indexer, base)

    def _keep_both_ends(self, node: ast.RangeDefinition, size: int) -> None:
        """Make of a range that includes its end the slice of Python that ends there: before it, and never past 0."""
        self.visit(node)  # refuses what is no constant
        del self._known[id(node)]
        for end in (node.start, node.end):
            if end is not None and not -size <= self.visit(end)[0] < size:
                raise_from_node(node, f"index {self.visit(end)[0]} is out of range for size {size}")
        if node.end is not None:
            step = 1 if node.step is None else self.visit(node.step)[0]
            if self.visit(node.end)[0] % size == (size - 1 if step > 0 else 0):
                node.end = None
