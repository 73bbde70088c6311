"""A hash of what a circuit does, the same in every process and for every way of naming things.

QPY bytes would not do: they hold names, UUIDs and a count of the circuits made so far. Left out are the
names and metadata of circuits, labels, and the names of composite gates (their definition counts); bits
are named by their place, loop parameters by their depth. Names of classical registers stay: they are seen
in other formats. Parameters that have no value yet go by their names.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable
from typing import Any
from uuid import UUID

import numpy as np
from qiskit import QuantumCircuit
from qiskit.circuit import (
    AnnotatedOperation,
    ClassicalRegister,
    Clbit,
    ForLoopOp,
    Instruction,
    Operation,
    Parameter,
    ParameterExpression,
    PowerModifier,
    SwitchCaseOp,
)
from qiskit.circuit.annotated_operation import Modifier
from qiskit.circuit.classical import expr
from qiskit.circuit.controlflow import CASE_DEFAULT

from circuits.delays import as_a_number
from circuits.walk import says_all

_NODES: dict[type, tuple[str, ...]] = {
    expr.Unary: ("op", "operand", "type"),
    expr.Binary: ("op", "left", "right", "type"),
    expr.Cast: ("operand", "type"),
    expr.Index: ("target", "index"),
    expr.Value: ("value", "type"),
}


_EXACT = 1 << 53
"""Up to here floating point numbers hold every whole number."""


def fingerprint(circuit: QuantumCircuit) -> str:
    """`sha256:<hex>` over the circuit's registers, instructions and parameter values."""
    digest = hashlib.sha256()
    _Writer(digest.update).circuit(circuit)
    return f"sha256:{digest.hexdigest()}"


class _Writer:
    """Writes values with a tag and a length each, so that no two circuits give the same bytes."""

    def __init__(self, update: Callable[[bytes], object]) -> None:
        self._update = update
        self._scopes: list[dict[Clbit, int]] = []
        self._loops = 0

    def circuit(self, circuit: QuantumCircuit) -> None:
        self._numbers("circuit", circuit.num_qubits, circuit.num_clbits)
        self._scopes.append({bit: index for index, bit in enumerate(circuit.clbits)})
        qubits = {bit: index for index, bit in enumerate(circuit.qubits)}
        for register in circuit.cregs:
            self._text("register", register.name)
            self._bits(register)
        self._value(circuit.global_phase)
        for instruction in circuit.data:
            self._numbers("on", *(qubits[bit] for bit in instruction.qubits))
            self._bits(instruction.clbits)
            self._operation(instruction.operation)
        self._scopes.pop()

    def _operation(self, operation: Operation) -> None:
        if isinstance(operation, ForLoopOp):
            self._for_loop(operation)
            return
        if isinstance(operation, AnnotatedOperation):
            self._text("modified", repr([_plain(modifier) for modifier in operation.modifiers]))
            self._operation(operation.base_op)
            return
        operation = as_a_number(operation)
        if not isinstance(operation, Instruction):  # a Clifford, say: an object that knows its instruction
            operation = operation.to_instruction()
        definition = None if says_all(operation) else operation.definition
        if definition is not None:
            self._text("apply", "composite")
            self.circuit(definition)
            return
        self._text("apply", operation.name)
        if isinstance(operation, SwitchCaseOp):
            self._value(operation.target)
            self._value([label for label, _ in operation.cases_specifier()])
        for attribute in ("condition", "params", "ctrl_state", "duration", "unit"):
            self._value(getattr(operation, attribute, None))

    def _for_loop(self, loop: ForLoopOp) -> None:
        """Qiskit numbers loop parameters through the process; here the depth names them."""
        indices, parameter, body = loop.params
        self._text("apply", loop.name)
        self._text("range", str(indices)) if isinstance(indices, range) else self._value(list(indices))
        self._loops += 1
        if parameter is not None and parameter in body.parameters:
            body = body.assign_parameters({parameter: Parameter(f"loop {self._loops}")})
        self.circuit(body)
        self._loops -= 1

    def _value(self, value: Any) -> None:
        """Write one parameter of an instruction, whatever it is."""
        match value:
            case None:
                self._text("none", "")
            case QuantumCircuit():
                self.circuit(value)
            case expr.Expr():
                self._expression(value)
            case bool() | np.bool_() | int() | np.integer():
                self._whole(int(value))
            case float() | np.floating():
                self._bytes("float", struct.pack("<d", float(value) + 0.0))  # + 0.0 makes -0.0 one with 0.0
            case complex() | np.complexfloating():
                self._bytes("complex", struct.pack("<2d", value.real + 0.0, value.imag + 0.0))
            case ParameterExpression():
                self._parameter(value)
            case np.ndarray():
                self._numbers("array", *value.shape)
                self._bytes(value.dtype.str, np.ascontiguousarray(value).tobytes())
            case Clbit():
                self._bits([value])
            case ClassicalRegister():
                self._bits(value)
            case list() | tuple():
                self._numbers("list", len(value))
                for item in value:
                    self._value(item)
            case str():
                self._text("text", value)
            case _:
                self._text("default" if value is CASE_DEFAULT else "other", type(value).__qualname__)

    def _whole(self, value: int) -> None:
        """An angle of 2 is one of 2.0, which freezing makes of it."""
        if abs(value) <= _EXACT:
            self._value(float(value))
        else:
            self._text("int", str(value))

    def _parameter(self, value: ParameterExpression) -> None:
        if value.parameters:
            self._text("parameter", str(value))
        else:
            self._value(float(value) if value.is_real() else complex(value))

    def _expression(self, node: expr.Expr) -> None:
        if isinstance(node, expr.Var):
            if isinstance(node.var, UUID):
                self._text("variable", f"{node.name}: {node.type!r}")
            else:
                self._value(node.var)
            return
        self._text("node", type(node).__name__)
        for name in _NODES.get(type(node), ()):
            part = getattr(node, name)
            if isinstance(part, expr.Expr | int | float):
                self._value(part)
            else:
                self._text(name, repr(part))

    def _bits(self, bits: Iterable[Clbit]) -> None:
        self._numbers("bits", *(self._place(bit) for bit in bits))

    def _place(self, bit: Clbit) -> int:
        return next((scope[bit] for scope in reversed(self._scopes) if bit in scope), -1)

    def _numbers(self, name: str, *numbers: int) -> None:
        self._text(name, ",".join(map(str, numbers)))

    def _text(self, name: str, text: str) -> None:
        self._bytes(name, text.encode("utf-8", "surrogatepass"))

    def _bytes(self, name: str, content: bytes) -> None:
        label = name.encode()
        self._update(struct.pack("<HQ", len(label), len(content)) + label + content)


def _plain(modifier: Modifier) -> Modifier | tuple[str, float]:
    return ("power", float(modifier.power)) if isinstance(modifier, PowerModifier) else modifier
