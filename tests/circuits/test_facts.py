"""What is said of a circuit: width, gates, method, memory."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import ClassicalRegister, QuantumCircuit
from qiskit.circuit.random import random_circuit, random_clifford_circuit
from qiskit.exceptions import QiskitError
from qiskit.quantum_info import Clifford
from qiskit_aer import AerSimulator

from circuits import choose_method, count_gates, describe, is_clifford, memory_bytes, simulated_qubits

ANGLES = [0.0, math.pi / 2, math.pi, -math.pi / 2, 2 * math.pi, math.pi / 4, 0.3]


def a_bell() -> QuantumCircuit:
    qc = QuantumCircuit(2)
    qc.h(0)
    qc.cx(0, 1)
    qc.measure_all()
    return qc


def test_a_bell_pair() -> None:
    facts = describe(a_bell(), name="bell")
    assert (facts.name, facts.qubits, facts.clbits, facts.depth) == ("bell", 2, 2, 3)
    assert (facts.gates, facts.gate_types) == (2, {"h": 1, "cx": 1})
    assert facts.method == "stabilizer"
    assert facts.hash.startswith("sha256:")


def test_loops_count_their_rounds_and_branches_count_once() -> None:
    qc = QuantumCircuit(2, 2)
    with qc.for_loop(range(5)):
        qc.x(0)
        with qc.for_loop(range(3)):
            qc.h(0)
            qc.continue_loop()
    with qc.if_test((qc.clbits[0], 1)) as otherwise:
        qc.y(0)
    with otherwise:
        qc.z(0)
        qc.measure(0, 0)
    with qc.while_loop((qc.clbits[0], 1)):
        qc.s(0)
        qc.break_loop()
    qc.barrier()
    assert dict(count_gates(qc)) == {"x": 5, "h": 15, "y": 1, "z": 1, "s": 1}


def test_endless_loops_are_counted_without_running_them() -> None:
    qc = QuantumCircuit(1, 1)
    with qc.for_loop(range(10**9)), qc.for_loop(range(10**9)):
        qc.x(0)
    qc.measure(0, 0)
    assert describe(qc).gates == (1 << 53) - 1


def test_a_composite_is_one_gate_whatever_its_number() -> None:
    inner = QuantumCircuit(1)
    inner.h(0)
    qc = QuantumCircuit(1)
    qc.append(inner.to_gate(), [0])
    qc.append(inner.copy().to_gate(), [0])
    assert dict(count_gates(qc)) == {"composite": 2}


@pytest.mark.parametrize(
    ("method", "qubits", "memory"),
    [
        ("statevector", 30, 16 << 30),
        ("density_matrix", 15, 16 << 30),
        ("unitary", 10, 16 << 20),
        ("superop", 5, 16 << 20),
        ("matrix_product_state", 100, None),
    ],
)
def test_memory_goes_by_method(method: str, qubits: int, memory: int | None) -> None:
    assert memory_bytes(method, qubits) == memory


def test_a_stabilizer_of_a_thousand_qubits_is_small() -> None:
    assert (memory_bytes("stabilizer", 1000) or 0) in range(1, 1 << 20)


def test_a_requested_method_is_kept() -> None:
    assert choose_method(a_bell(), "matrix_product_state", noise=True) == "matrix_product_state"


def test_with_noise_a_density_matrix_is_taken_while_it_is_cheaper_than_the_shots() -> None:
    assert choose_method(a_bell(), noise=True, shots=1024) == "density_matrix"
    assert choose_method(a_bell(), noise=True, shots=4) == "statevector"
    midway = a_bell()
    midway.h(0)
    assert choose_method(midway, noise=True, shots=1024) == "statevector"


@st.composite
def circuits(draw: st.DrawFn) -> QuantumCircuit:
    qc = QuantumCircuit(3)
    plain = ["h", "s", "sdg", "x", "y", "z", "sx", "sxdg", "id", "t"]
    turned = ["rx", "ry", "rz", "p"]
    pairs = ["cx", "cy", "cz", "swap", "ecr", "iswap", "dcx", "ch"]
    for _ in range(draw(st.integers(1, 8))):
        kind = draw(st.sampled_from(["plain", "turned", "pair", "pair turned"]))
        a, b = draw(st.permutations(range(3)))[:2]
        if kind == "plain":
            getattr(qc, draw(st.sampled_from(plain)))(a)
        elif kind == "turned":
            getattr(qc, draw(st.sampled_from(turned)))(draw(st.sampled_from(ANGLES)), a)
        elif kind == "pair":
            getattr(qc, draw(st.sampled_from(pairs)))(a, b)
        else:
            name = draw(st.sampled_from(["rzz", "rxx", "ryy", "rzx", "cp", "crx"]))
            getattr(qc, name)(draw(st.sampled_from(ANGLES)), a, b)
    return qc


@settings(max_examples=150, deadline=None)
@given(circuits())
def test_what_is_called_clifford_is_clifford(circuit: QuantumCircuit) -> None:
    if is_clifford(circuit):
        try:
            Clifford(circuit)
        except QiskitError:
            pytest.fail(f"not Clifford:\n{circuit}")


@settings(max_examples=60, deadline=None)
@given(circuits())
def test_where_aer_takes_the_stabilizer_so_does_this(circuit: QuantumCircuit) -> None:
    circuit.measure_all()
    result = AerSimulator().run(circuit.decompose(["iswap", "dcx", "ch"]), shots=1, seed_simulator=1).result()
    if result.results[0].metadata["method"] == "stabilizer":
        assert choose_method(circuit) == "stabilizer"


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_random_clifford_circuits_are_told(seed: int) -> None:
    circuit = random_clifford_circuit(4, 20, seed=seed)
    assert is_clifford(circuit)
    circuit.t(0)
    assert not is_clifford(circuit)


def test_qubits_that_cannot_be_seen_take_no_memory() -> None:
    qc = QuantumCircuit(40, 40)
    qc.h(20)
    qc.t(20)
    qc.cx(20, 3)
    qc.cx(3, 4)
    qc.h(7)
    qc.cx(7, 8)
    qc.barrier()
    qc.delay(10, 9)
    qc.measure([20, 3], [0, 1])
    assert simulated_qubits(qc) == 3
    assert describe(qc).memory_bytes == 8 * 16
    with qc.if_test((qc.clbits[1], 1)):
        qc.x(8)
    assert simulated_qubits(qc) == 5


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 100_000), st.integers(1, 6))
def test_aer_keeps_no_qubit_that_is_not_counted(seed: int, measured: int) -> None:
    circuit = random_circuit(6, 2, max_operands=2, seed=seed)
    circuit.add_register(ClassicalRegister(6))
    circuit.measure(range(measured), range(measured))
    result = AerSimulator().run(circuit.decompose(reps=4), shots=1, method="statevector").result()
    kept = result.results[0].metadata["active_input_qubits"]
    assert len(kept) <= simulated_qubits(circuit)


def test_an_angle_that_is_no_number_is_no_right_angle() -> None:
    for angle in (math.nan, math.inf):
        circuit = QuantumCircuit(1)
        circuit.rx(angle, 0)
        assert not is_clifford(circuit)
