"""How long a simulation takes, where measurements say so.

Measured with Aer 0.18.2 on two cores of a server processor, random circuits, transpiled at level 1, 1024 shots:

    qubits   depth   seconds   nanoseconds an amplitude and layer
    20       10      0.20      19
    22       10      0.88      21
    25       10      8.2       24
    22       50      5.3       25
    25       50      65        39

One state vector is computed and all shots are drawn from it, so shots do not matter at these widths, and time
is amplitudes x layers x a constant within a factor of two. Below 20 qubits the rest of the process takes
longer than the simulation, above 32 nobody has measured, and for other methods time depends on the circuit's
structure: there is no estimate then.
"""

from __future__ import annotations

from qiskit import QuantumCircuit

SECONDS_AN_AMPLITUDE_AND_LAYER = 25e-9
MEASURED_QUBITS = range(20, 33)


def execution_seconds(circuit: QuantumCircuit, method: str, depth: int) -> float | None:
    """Seconds of simulation on two cores, right within a factor of two; `None` without a sound basis."""
    if method != "statevector" or circuit.num_qubits not in MEASURED_QUBITS:
        return None
    if not _drawn_from_one_state(circuit):
        return None
    return float(f"{depth * (1 << circuit.num_qubits) * SECONDS_AN_AMPLITUDE_AND_LAYER:.2g}")


def _drawn_from_one_state(circuit: QuantumCircuit) -> bool:
    """Whether nothing follows a measurement: otherwise every shot is a simulation of its own."""
    if circuit.has_control_flow_op():
        return False
    before = circuit.remove_final_measurements(inplace=False)
    return not {"measure", "reset", "initialize"} & before.count_ops().keys()
