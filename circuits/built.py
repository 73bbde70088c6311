"""A circuit that is ready to be run, and what in a program counts as circuits."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from qiskit import QuantumCircuit

_AUTOMATIC_NAME = re.compile(r"circuit-\d+(-\d+)?\Z")
"""What Qiskit calls a circuit without a name: it counts them, so the name depends on the process."""

_NAME_LIMIT = 64
"""Characters of a circuit's name: it is repeated in status, result and every row of a table."""


@dataclass(frozen=True)
class BuiltCircuit:
    """One circuit of a job with all parameters bound. `parameters` says with which values."""

    name: str
    circuit: QuantumCircuit
    parameters: dict[str, float] = field(default_factory=dict)


def is_automatic(name: str) -> bool:
    """Whether Qiskit has made the name up."""
    return not name or _AUTOMATIC_NAME.match(name) is not None


def name_of(circuit: QuantumCircuit, found_as: str) -> str:
    """The circuit's own name, or `found_as` where Qiskit has made one up."""
    own = str(circuit.name)
    name = found_as if is_automatic(own) else own
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name[:_NAME_LIMIT])


def as_circuits(value: object, found_as: str) -> list[BuiltCircuit] | None:
    """The circuits that `value` holds: itself, or those of a list or tuple; `None` if it is neither."""
    if isinstance(value, QuantumCircuit):
        return [BuiltCircuit(name_of(value, found_as), value)]
    if isinstance(value, list | tuple) and value and all(isinstance(c, QuantumCircuit) for c in value):
        return [
            BuiltCircuit(name_of(circuit, f"{found_as}[{index}]"), circuit)
            for index, circuit in enumerate(value)
        ]
    return None
