"""How many qubits a simulator has to keep: those that can have an effect on what is measured."""

from __future__ import annotations

from qiskit import QuantumCircuit
from qiskit.circuit import Bit

from circuits.composites import is_composite

_WITHOUT_EFFECT = frozenset({"barrier", "delay"})


def simulated_qubits(circuit: QuantumCircuit) -> int:
    """The number of qubits that are measured or connected to a measured one by operations.

    Aer leaves out the others, and so does the memory it needs. A circuit for a device of 127 qubits that uses
    three of them is one of three qubits.
    """
    parent: dict[Bit, Bit] = {}
    read: list[Bit] = []
    for instruction in circuit.data:
        bits = [*instruction.qubits, *instruction.clbits]
        operation = instruction.operation
        if not bits or (operation.name in _WITHOUT_EFFECT and not is_composite(operation)):
            continue
        root = _root(parent, bits[0])
        for bit in bits[1:]:
            parent[_root(parent, bit)] = root
        if instruction.clbits:
            read.append(bits[0])
    kept = {_root(parent, bit) for bit in read}
    return sum(qubit in parent and _root(parent, qubit) in kept for qubit in circuit.qubits)


def _root(parent: dict[Bit, Bit], bit: Bit) -> Bit:
    root = bit
    while (above := parent.setdefault(root, root)) is not root:
        root = above
    while parent[bit] is not root:
        parent[bit], bit = root, parent[bit]
    return root
