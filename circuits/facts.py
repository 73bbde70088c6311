"""What is known of a circuit before it is transpiled."""

from __future__ import annotations

from collections import Counter

from qiskit import QuantumCircuit

from circuits.built import is_automatic, name_of
from circuits.fingerprint import fingerprint
from circuits.methods import AUTOMATIC, choose_method, memory_bytes
from circuits.walk import operations
from circuits.width import simulated_qubits
from messages.circuit import CircuitFacts

_LARGEST = (1 << 53) - 1
"""Counts are cut here: nested loops multiply, and JSON readers keep whole numbers up to this."""

_TYPES = 64
"""Kinds of gates that are told apart: a program can make up thousands of names."""


def describe(
    circuit: QuantumCircuit,
    *,
    name: str | None = None,
    method: str = AUTOMATIC,
    noise: bool = False,
    shots: int = 1024,
) -> CircuitFacts:
    """Describe `circuit` as it would be simulated with the given method, noise and shots.

    Depth is Qiskit's: measurements count, barriers do not, a control-flow operation is one level.
    """
    counts = count_gates(circuit)
    chosen = choose_method(circuit, method, noise, shots)
    return CircuitFacts(
        name=name or name_of(circuit, "circuit"),
        qubits=circuit.num_qubits,
        clbits=circuit.num_clbits,
        depth=circuit.depth(),
        gates=min(sum(counts.values()), _LARGEST),
        gate_types=dict(counts.most_common(_TYPES)),
        hash=fingerprint(circuit),
        method=chosen,
        memory_bytes=memory_bytes(chosen, simulated_qubits(circuit)),
    )


def count_gates(circuit: QuantumCircuit) -> Counter[str]:
    """How often each gate is applied; neither barriers and other directives nor measurements are gates.

    Composite gates count as one, under their own name or as `composite`.
    Bodies of for loops count as often as the loop runs, all other bodies once.
    """
    counts: Counter[str] = Counter()
    for operation, times in operations(circuit):
        if operation.name != "measure" and not getattr(operation, "_directive", False):
            name = "composite" if is_automatic(operation.name) else operation.name[:64]
            counts[name] = min(counts[name] + times, _LARGEST)
    return counts
