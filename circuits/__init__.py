"""From source to circuit to facts: what executor and validation service share. Imports Qiskit, never Aer.

load(content, format, entrypoint, parameters)   the circuits of a source; runs user code
describe(circuit)                               qubits, depth, gates, hash, method, memory
freeze(circuits) and thaw(content)              as QPY bytes and back
"""

from circuits.built import BuiltCircuit
from circuits.errors import CircuitError
from circuits.facts import count_gates, describe
from circuits.fingerprint import fingerprint
from circuits.formats import detect_format
from circuits.frozen import freeze, thaw
from circuits.loading import load
from circuits.methods import choose_method, is_clifford, memory_bytes
from circuits.width import simulated_qubits

__all__ = [
    "BuiltCircuit",
    "CircuitError",
    "choose_method",
    "count_gates",
    "describe",
    "detect_format",
    "fingerprint",
    "freeze",
    "is_clifford",
    "load",
    "memory_bytes",
    "simulated_qubits",
    "thaw",
]
