"""Counts are right: against exact distributions, for every method, level and kind of circuit."""

from __future__ import annotations

import io
import textwrap
from collections.abc import AsyncIterator, Mapping
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister, qpy
from qiskit.circuit import AnnotatedOperation, Clbit, ControlModifier, InverseModifier, PowerModifier, Qubit
from qiskit.circuit.annotated_operation import Modifier
from qiskit.circuit.classical import expr
from qiskit.circuit.library import XGate
from qiskit.circuit.random import random_circuit, random_clifford_circuit
from qiskit.quantum_info import Statevector
from scipy.linalg import fractional_matrix_power
from scipy.stats import chisquare

from circuits import freeze
from executor_image.devices import read_snapshot
from executor_image.steps import Ran
from messages.circuit import Format
from messages.failure import ExecutorReason as Reason
from messages.work import Stage
from tests.executor.attempts import Workplace, a_workplace
from tests.executor.orders import BELL, an_order

pytestmark = pytest.mark.asyncio(loop_scope="module")

SHOTS = 4096
LEAST_P = 1e-6
"""A right simulator falls below this once in a million runs. Seeds are fixed, so it does always or never."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Workplace]:
    async with a_workplace(tmp_path_factory.mktemp("executor")) as workplace:
        yield workplace


async def run(place: Workplace, circuit: QuantumCircuit, **execution: Any) -> Ran:
    settings = {"shots": SHOTS, "seed_simulator": 11, "seed_transpiler": 12, **execution}
    order = an_order(freeze([circuit]), language=Format.QPY, **settings)
    return (await place.run(order)).circuits[0]


def agree(counts: Mapping[str, int], exact: Mapping[str, float]) -> bool:
    """Pearson's test over the outcomes that are expected five times; the rest is one bin."""
    shots = sum(counts.values())
    often = [key for key, p in exact.items() if p * shots >= 5]
    seen = [counts.get(key, 0) for key in often]
    expected = [exact[key] * shots for key in often]
    rest = shots - sum(expected)
    if rest >= 5:
        seen.append(shots - sum(seen))
        expected.append(rest)
    elif sum(seen) < shots - 10 * (rest + 1):
        return False
    if len(expected) == 1:
        return seen == [shots]
    return bool(chisquare(seen, np.array(expected) * sum(seen) / sum(expected)).pvalue > LEAST_P)


def exact(circuit: QuantumCircuit) -> dict[str, float]:
    """The distribution of a circuit without measurements, all of whose qubits are then measured."""
    probabilities: dict[str, float] = Statevector(circuit).probabilities_dict()
    return probabilities


async def noisy(place: Workplace, circuit: QuantumCircuit, **execution: Any) -> dict[str, float]:
    """The distribution of a circuit on a device, from many more shots by way of the density matrix."""
    many = {**execution, "method": "density_matrix", "shots": 100 * SHOTS, "seed_simulator": 99}
    counts = (await run(place, circuit, **many)).counts
    return {key: count / (100 * SHOTS) for key, count in counts.items()}


def measured(circuit: QuantumCircuit) -> QuantumCircuit:
    copy = circuit.copy()
    copy.measure_all()
    return copy


async def test_the_test_of_agreement_can_fail() -> None:
    assert agree({"0": 2048, "1": 2048}, {"0": 0.5, "1": 0.5})
    assert not agree({"0": 2300, "1": 1796}, {"0": 0.5, "1": 0.5})
    assert not agree({"0": 4095, "1": 1}, {"0": 1.0})
    assert not agree({"2": 4096}, {"0": 0.5, "1": 0.5})


@pytest.mark.parametrize("level", [0, 1, 2, 3])
@pytest.mark.parametrize("seed", [1, 2])
async def test_random_circuits_agree_with_their_state_vectors(
    place: Workplace, level: int, seed: int
) -> None:
    circuit = random_circuit(4, 6, seed=seed)
    ran = await run(place, measured(circuit), optimization_level=level)
    assert agree(ran.counts, exact(circuit))
    assert (ran.method, ran.optimization_level) == ("statevector", level)


@pytest.mark.parametrize("level", [0, 1, 2, 3])
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_clifford_circuits_stay_with_the_stabilizer(place: Workplace, level: int, seed: int) -> None:
    circuit = random_clifford_circuit(5, 40, seed=seed)
    ran = await run(place, measured(circuit), optimization_level=level)
    assert ran.method == "stabilizer"
    assert ran.optimization_level <= level
    assert agree(ran.counts, exact(circuit))


PLACE_OF_REGISTERS = {
    "all bits in their order": ([[0], [1, 2]], {"01 0", "10 1"}),
    "one bit of none": ([[0, 1]], {"010", "101"}),
    "no registers": ([], {"010", "101"}),
    "another order": ([[1, 2], [0]], {"010", "101"}),
    "a shared bit": ([[0, 1], [1, 2]], {"010", "101"}),
}


@pytest.mark.parametrize("case", PLACE_OF_REGISTERS)
async def test_no_bit_is_cut_off_whatever_the_registers(place: Workplace, case: str) -> None:
    registers, keys = PLACE_OF_REGISTERS[case]
    bits = [Clbit() for _ in range(3)]
    circuit = QuantumCircuit([Qubit(), Qubit()], bits)
    for index, members in enumerate(registers):
        circuit.add_register(ClassicalRegister(name=f"r{index}", bits=[bits[m] for m in members]))
    circuit.h(0)
    circuit.cx(0, 1)
    circuit.x(1)
    circuit.measure([0, 1, 0], bits)
    counts = (await run(place, circuit)).counts
    assert counts.keys() == keys
    assert sum(counts.values()) == SHOTS


@pytest.mark.parametrize("method", ["statevector", "density_matrix", "matrix_product_state"])
async def test_the_requested_method_is_used(place: Workplace, method: str) -> None:
    circuit = random_circuit(4, 4, max_operands=2, seed=5)
    ran = await run(place, measured(circuit), method=method)
    assert ran.method == method
    assert agree(ran.counts, exact(circuit))


async def test_a_thousand_entangled_qubits_are_no_matter_for_the_stabilizer(place: Workplace) -> None:
    circuit = QuantumCircuit(1200)
    circuit.h(0)
    for qubit in range(1199):
        circuit.cx(qubit, qubit + 1)
    ran = await run(place, measured(circuit), shots=2)
    assert set(ran.counts) <= {"0" * 1200, "1" * 1200}


async def test_forty_qubits_with_little_entanglement_run_as_a_matrix_product_state(place: Workplace) -> None:
    circuit = QuantumCircuit(40)
    circuit.h(0)
    circuit.t(0)
    for qubit in range(39):
        circuit.cx(qubit, qubit + 1)
    ran = await run(place, measured(circuit), method="matrix_product_state")
    assert agree(ran.counts, {"0" * 40: 0.5, "1" * 40: 0.5})


async def test_mid_circuit_measurements_and_branches(place: Workplace) -> None:
    code = """
    from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
    qc = QuantumCircuit(QuantumRegister(2), ClassicalRegister(1, "first"), ClassicalRegister(1, "second"))
    qc.ry(0.8, 0)
    qc.measure(0, 0)
    with qc.if_test((qc.cregs[0], 1)):
        qc.x(1)
    qc.measure(1, 1)
    """
    order = an_order(textwrap.dedent(code), shots=SHOTS, seed_simulator=3)
    counts = (await place.run(order)).circuits[0].counts
    one = float(np.sin(0.4) ** 2)
    assert agree(counts, {"0 0": 1 - one, "1 1": one})


@pytest.mark.parametrize("method", ["statevector", "density_matrix", "matrix_product_state"])
@pytest.mark.parametrize("level", [0, 3])
async def test_some_of_several_entangled_qubits_can_be_prepared_anew(
    place: Workplace, method: str, level: int
) -> None:
    circuit = QuantumCircuit(3)
    circuit.h(0)
    circuit.cx(0, [1, 2])
    circuit.initialize(np.sqrt([0.1, 0.2, 0.3, 0.4]), [2, 0])
    ran = await run(place, measured(circuit), method=method, optimization_level=level)
    assert ran.method == method
    chances = {
        "00": 0.1,
        "10": 0.2,
        "01": 0.3,
        "11": 0.4,
    }  # the qubits 2 and 0; half the shots have each value of 1
    expected = {f"{key[0]}{bit}{key[1]}": chance / 2 for key, chance in chances.items() for bit in "01"}
    assert agree(ran.counts, expected)


@pytest.mark.parametrize("method", ["automatic", "statevector", "density_matrix", "matrix_product_state"])
async def test_a_bit_that_is_measured_again_is_not_misread_as_the_one_before(
    place: Workplace, method: str
) -> None:
    snapshot = read_snapshot("torino")
    worst = max(range(len(snapshot.qubits)), key=lambda q: snapshot.qubits[q].reads_1_for_0)
    better = min(range(len(snapshot.qubits)), key=lambda q: abs(snapshot.qubits[q].reads_1_for_0 - 0.02))
    circuit = QuantumCircuit(
        QuantumRegister(len(snapshot.qubits)), ClassicalRegister(1, "a"), ClassicalRegister(2, "b")
    )
    circuit.measure(worst, 1)
    circuit.measure(better, 1)
    ran = await run(place, circuit, method=method, noise_model="torino", optimization_level=0)
    wrong = snapshot.qubits[better].reads_1_for_0
    assert agree(ran.counts, {"00 0": 1 - wrong, "01 0": wrong})


@pytest.mark.parametrize("device", ["manila", "nairobi", "guadalupe"])
async def test_a_device_is_noisy_but_not_too_noisy(place: Workplace, device: str) -> None:
    ran = (await place.run(an_order(noise_model=device, shots=SHOTS, seed_simulator=1))).circuits[0]
    wrong = ran.counts.get("01", 0) + ran.counts.get("10", 0)
    assert 0.005 < wrong / SHOTS < 0.2
    assert ran.method == "density_matrix"
    assert ran.transpiled_gates > 2


async def test_a_device_of_127_qubits_needs_memory_for_those_that_are_used(place: Workplace) -> None:
    finished = await place.run(an_order(noise_model="sherbrooke", shots=SHOTS, seed_simulator=1))
    wrong = sum(finished.circuits[0].counts.get(key, 0) for key in ("01", "10"))
    assert 0 < wrong / SHOTS < 0.2
    assert finished.done.device is not None
    assert finished.done.device["name"] == "sherbrooke"


@pytest.mark.parametrize("level", [0, 3])
async def test_delays_of_any_length_and_unit_change_no_counts_without_noise(
    place: Workplace, level: int
) -> None:
    circuit = QuantumCircuit(2, 2)
    circuit.x(0)
    circuit.delay(1.5, 0, unit="us")
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.delay(0.1, 1, unit="ns")
        circuit.delay(100, 1)
        circuit.x(1)
    circuit.measure(1, 1)
    assert (await run(place, circuit, optimization_level=level)).counts == {"11": SHOTS}


async def test_a_qubit_of_a_device_decays_while_it_waits(place: Workplace) -> None:
    def waiting(microseconds: int) -> QuantumCircuit:
        circuit = QuantumCircuit(1, 1)
        circuit.x(0)
        circuit.delay(microseconds, 0, unit="us")
        circuit.measure(0, 0)
        return circuit

    ones = [
        (await run(place, waiting(duration), noise_model="manila")).counts.get("1", 0) / SHOTS
        for duration in (0, 100, 10_000)
    ]
    assert ones[0] > 0.9
    assert 0.2 < ones[1] < 0.8
    assert ones[2] < 0.1


async def test_delays_that_have_lost_their_unit_are_refused_with_noise(place: Workplace) -> None:
    circuit = QuantumCircuit(1, 1)
    circuit.x(0)
    circuit.delay(100, 0, unit="us")
    circuit.measure(0, 0)
    file = io.BytesIO()
    qpy.dump(circuit, file)
    assert (await place.run(an_order(file.getvalue()))).circuits[0].counts == {"1": 1024}
    failure = await place.failure(an_order(file.getvalue(), noise_model="manila"))
    assert failure.reason == Reason.CIRCUIT_INVALID
    assert "write delays as expr.lift(Duration.us(100))" in failure.message


@pytest.mark.parametrize("level", range(4))
async def test_the_stabilizer_does_the_noise_of_a_device(place: Workplace, level: int) -> None:
    circuit = random_clifford_circuit(
        3, 12, seed=1
    )  # from level 2 on, made of other turns than quarter turns
    circuit.delay(20, 0, unit="us")
    circuit.reset(1)
    circuit.measure_all(add_bits=True)
    settings = {"noise_model": "manila", "shots": SHOTS, "optimization_level": level}
    ran = await run(place, circuit, method="stabilizer", **settings)
    assert ran.method == "stabilizer"
    settings["optimization_level"] = ran.optimization_level
    assert agree(ran.counts, await noisy(place, circuit, **settings))


async def test_the_stabilizer_does_the_noise_of_branches(place: Workplace) -> None:
    circuit = QuantumCircuit(2, 3)
    circuit.h(0)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        for _ in range(20):
            circuit.x(1)
        circuit.cx(0, 1)
    circuit.measure([0, 1], [1, 2])
    settings = {"noise_model": "manila", "optimization_level": 0}
    ran = await run(place, circuit, method="stabilizer", **settings)
    assert agree(ran.counts, await noisy(place, circuit, **settings))


async def test_the_stabilizer_needs_to_do_the_noise_of_what_is_done_only(place: Workplace) -> None:
    """On nairobi qubit 1 keeps its phase longer than its energy, qubits 0 and 2 do not."""
    circuit, other = QuantumCircuit(3, 3), QuantumCircuit(2, 1, name="other")
    circuit.x([0, 2])
    circuit.s(1)
    circuit.measure(range(3), range(3))
    other.x(1)
    other.measure(1, 0)
    settings: dict[str, Any] = {"noise_model": "nairobi", "optimization_level": 0, "method": "stabilizer"}
    ran = await run(place, circuit, **settings)
    assert agree(ran.counts, await noisy(place, circuit, **settings))
    failure = await place.failure(an_order(freeze([circuit, other]), language=Format.QPY, **settings))
    assert failure.reason == Reason.CIRCUIT_INVALID
    assert "circuit other is put on qubits of the device nairobi that" in failure.message
    assert failure.message.endswith(
        "set spec.execution.method to statevector or matrix_product_state, "
        "or choose another device in spec.execution.noiseModel"
    )


async def test_a_delay_that_the_stabilizer_cannot_do_is_refused(place: Workplace) -> None:
    circuit = QuantumCircuit(2, 1)
    circuit.delay(10, 1, unit="us")
    circuit.measure(1, 0)
    settings: dict[str, Any] = {"noise_model": "nairobi", "optimization_level": 0, "method": "stabilizer"}
    failure = await place.failure(an_order(freeze([circuit]), language=Format.QPY, **settings))
    assert failure.reason == Reason.CIRCUIT_INVALID
    assert "set spec.execution.method to statevector" in failure.message


async def test_a_noisy_circuit_that_is_no_clifford_circuit_is_refused(place: Workplace) -> None:
    code = BELL.replace("qc.h(0)", "qc.h(0); qc.t(0)")
    failure = await place.failure(an_order(code, noise_model="manila", method="stabilizer"))
    assert failure.reason == Reason.CIRCUIT_INVALID
    assert "is no Clifford circuit, so the method stabilizer cannot run it" in failure.message
    assert "spec.execution.method" in failure.message


async def test_wider_noisy_circuits_are_simulated_shot_by_shot(place: Workplace) -> None:
    code = "from qiskit import QuantumCircuit\nqc = QuantumCircuit(7)\nqc.h(0)\nqc.cx(0, range(1, 7))\nqc.measure_all()"
    ran = (await place.run(an_order(code, noise_model="nairobi", shots=100))).circuits[0]
    assert ran.method == "statevector"


async def test_loops_are_left_on_a_device_too(place: Workplace) -> None:
    code = """
    from qiskit import QuantumCircuit
    qc = QuantumCircuit(2, 2)
    with qc.for_loop(range(3)):
        qc.x(0)
        qc.measure(0, 0)
        with qc.if_test((qc.clbits[0], 1)):
            qc.break_loop()
        qc.x(1)
        qc.continue_loop()
    qc.measure(1, 1)
    """
    ran = (await place.run(an_order(textwrap.dedent(code), noise_model="manila"))).circuits[0]
    assert ran.counts["01"] > 800


@pytest.mark.parametrize("device", [None, "nairobi", "sherbrooke"])
async def test_conditions_look_at_bits_that_nothing_is_measured_into(
    place: Workplace, device: str | None
) -> None:
    circuit = QuantumCircuit(3, 4)
    circuit.x(0)
    circuit.measure(0, 0)
    with circuit.if_test(expr.less(circuit.cregs[0], 2)):
        circuit.x(1)
    circuit.measure(1, 1)
    counts = (await run(place, circuit, noise_model=device)).counts
    assert counts.keys() <= {"0000", "0001", "0010", "0011"}
    assert counts["0011"] > (0.7 if device else 1) * SHOTS - 1


@pytest.mark.parametrize("device", [None, "sherbrooke"])
async def test_branches_on_qubits_that_nothing_measures_need_no_memory_for_a_whole_device(
    place: Workplace, device: str | None
) -> None:
    circuit = QuantumCircuit(4, 3)
    circuit.h(0)
    with circuit.switch(circuit.cregs[0]) as case:
        with case(0):
            circuit.measure(1, 1)
        with case(case.DEFAULT):
            circuit.cx(3, 2)
    circuit.measure(0, 0)
    ran = await run(place, circuit, noise_model=device, method="density_matrix", optimization_level=0)
    assert set(ran.counts) <= {"000", "001", "010", "011"}
    assert 0.4 * SHOTS < ran.counts["001"] < 0.6 * SHOTS
    assert 0.4 * SHOTS < ran.counts["000"] < 0.6 * SHOTS


async def test_an_unknown_device_lists_the_known_ones(place: Workplace) -> None:
    failure = await place.failure(an_order(noise_model="manilla"))
    assert failure.reason == Reason.INVALID_SPEC
    assert (
        "spec.execution.noiseModel may be guadalupe, manila, nairobi, sherbrooke, torino" in failure.message
    )


async def test_a_device_that_the_backend_names_is_corrected_there(place: Workplace) -> None:
    field = "spec.noiseModel of QiskitBackend noisy"
    failure = await place.failure(an_order(noise_model="manilla", noise_field=field))
    assert f"; {field} may be guadalupe, manila," in failure.message
    code = BELL.replace("QuantumCircuit(2)", "QuantumCircuit(6)")
    failure = await place.failure(an_order(code, noise_model="manila", noise_field=field))
    assert failure.message.endswith(f"choose a larger device in {field}")


async def test_a_device_that_is_too_small_says_so(place: Workplace) -> None:
    code = BELL.replace("QuantumCircuit(2)", "QuantumCircuit(6)")
    failure = await place.failure(an_order(code, noise_model="manila"))
    assert failure.reason == Reason.CIRCUIT_INVALID
    assert "has 6 qubits, the device manila 5" in failure.message


async def test_a_method_that_cannot_run_the_circuit_says_so(place: Workplace) -> None:
    code = BELL.replace("qc.h(0)", "qc.h(0); qc.t(0)")
    failure = await place.failure(an_order(code, method="stabilizer"))
    assert failure.reason == Reason.CIRCUIT_INVALID
    assert "is no Clifford circuit" in failure.message
    failure = await place.failure(an_order(method="guesswork"))
    assert failure.reason == Reason.INVALID_SPEC
    assert "may be automatic, statevector," in failure.message
    failure = await place.failure(an_order(method="unitary"))
    assert failure.reason == Reason.CIRCUIT_INVALID


async def test_a_density_matrix_that_does_not_fit_says_what_it_needs(place: Workplace) -> None:
    code = "from qiskit import QuantumCircuit\nqc = QuantumCircuit(14)\nqc.h(range(14))\nqc.measure_all()"
    failure = await place.failure(an_order(code, method="density_matrix"))
    assert failure.reason == Reason.INSUFFICIENT_RESOURCES
    assert "needs 4096Mi for 14 qubits with the method density_matrix" in failure.message
    assert "limits.memory to 4352Mi or more" in failure.message


async def test_a_circuit_of_more_qubits_than_its_backend_takes_is_refused_where_it_runs(
    place: Workplace,
) -> None:
    """The code may have shown the validation service a smaller one, or nothing at all."""
    assert (await place.run(an_order(most_qubits=2))).circuits[0].facts.qubits == 2
    failure = await place.failure(an_order(most_qubits=1))
    assert failure.reason == Reason.INSUFFICIENT_RESOURCES
    assert "has 2 qubits, and its backend takes at most 1" in failure.message
    one = an_order(BELL.replace("(2)", "(1, name='circuit')").replace("qc.cx(0, 1)", ""), most_qubits=0)
    assert (await place.failure(one)).message.startswith("the circuit has 1 qubit, and its backend takes")


async def test_every_circuit_of_a_list_has_its_counts_and_its_seed(place: Workplace) -> None:
    code = """
    from qiskit import QuantumCircuit
    def one(n):
        qc = QuantumCircuit(n, name=f"{n} qubits")
        qc.h(range(n))
        qc.measure_all()
        return qc
    circuits = [one(1), one(2), one(3)]
    """
    finished = await place.run(an_order(textwrap.dedent(code), shots=SHOTS, seed_simulator=5))
    for n, ran in enumerate(finished.circuits, start=1):
        assert ran.facts.name == f"{n} qubits"
        assert agree(ran.counts, {f"{k:0{n}b}": 1 / 2**n for k in range(2**n)})
    assert [ran.seed_simulator for ran in finished.circuits] == [5, 5 + SHOTS, 5 + 2 * SHOTS]
    assert place.stages == [
        (Stage.BUILDING, 0, 0),
        (Stage.TRANSPILING, 0, 3),
        (Stage.RUNNING, 0, 3),
        (Stage.RUNNING, 1, 3),
        (Stage.RUNNING, 2, 3),
    ]


async def test_a_circuit_of_a_list_can_be_run_again_alone(place: Workplace) -> None:
    code = """
    from qiskit import QuantumCircuit
    qc = QuantumCircuit(3, name="same")
    qc.h(range(3))
    qc.t(0)
    qc.cx(0, 1)
    qc.h(range(3))
    qc.measure_all()
    circuits = [qc, qc.copy()]
    """
    both = await place.run(an_order(textwrap.dedent(code), entrypoint="circuits", seed_simulator=8))
    alone = await place.run(an_order(textwrap.dedent(code), entrypoint="qc", seed_simulator=8 + 1024))
    assert alone.circuits[0].counts == both.circuits[1].counts
    assert alone.circuits[0].counts != both.circuits[0].counts
    assert alone.circuits[0].facts.hash == both.circuits[0].facts.hash


async def test_neighbours_of_a_list_have_no_shots_in_common(place: Workplace) -> None:
    circuit = QuantumCircuit(1, 2)
    for bit in (0, 1):
        circuit.h(0)
        circuit.t(0)
        circuit.measure(0, bit)  # in the middle, so that Aer seeds each shot
    order = an_order(freeze([circuit] * 150), language=Format.QPY, shots=100, seed_simulator=1)
    finished = await place.run(order)
    zeros = [sum(n for key, n in ran.counts.items() if key[1] == "0") for ran in finished.circuits]
    assert abs(np.corrcoef(zeros[:-1], zeros[1:])[0, 1]) < 0.3
    assert 3.5 < np.std(zeros) < 6.5


async def test_what_aer_cannot_take_is_a_fault_of_the_circuit(place: Workplace) -> None:
    code = """
    from qiskit import QuantumCircuit
    qc = QuantumCircuit(1, 1)
    qc.add_var("flag", False)
    qc.measure(0, 0)
    """
    failure = await place.failure(an_order(textwrap.dedent(code)))
    assert failure.reason == Reason.CIRCUIT_INVALID
    assert failure.message == "circuit qc has a variable (add_var), which the simulator does not support"


async def test_a_state_vector_that_just_fits_its_pod_runs(place: Workplace) -> None:
    circuit = QuantumCircuit(24)
    circuit.h(range(0, 24, 8))
    circuit.t(range(24))
    circuit.cx(range(23), range(1, 24))
    order = an_order(freeze([measured(circuit)]), language=Format.QPY, memory=512 << 20, shots=100)
    assert sum((await place.run(order)).circuits[0].counts.values()) == 100
    failure = await place.failure(
        an_order(freeze([measured(circuit)]), language=Format.QPY, memory=511 << 20)
    )
    assert failure.reason == Reason.INSUFFICIENT_RESOURCES
    assert "set spec.resources.limits.memory to 512Mi or more" in failure.message


NAMES = [
    "h",
    "cx",
    "measure",
    "barrier",
    "delay",
    "id",
    "unitary",
    "if_else",
    "kraus",
    "iswap",
    "set_statevector",
]


@pytest.mark.parametrize("level", [0, 3])
async def test_a_gate_of_ones_own_is_what_its_definition_says_whatever_its_name(
    place: Workplace, level: int
) -> None:
    """The simulator goes by names, and to it every gate called h is a Hadamard gate."""
    circuit = QuantumCircuit(2, 2 * len(NAMES))
    for index, name in enumerate(NAMES):
        inner = QuantumCircuit(2, name=name)
        inner.x(1)
        outer = QuantumCircuit(2, name="outer")
        outer.append(inner.to_gate(), [0, 1])
        circuit.append(outer.to_gate() if index % 2 else inner.to_gate(), [0, 1])
        circuit.measure([0, 1], [2 * index, 2 * index + 1])
        circuit.reset([0, 1])
    assert (await run(place, circuit, optimization_level=level)).counts == {"10" * len(NAMES): SHOTS}


@pytest.mark.parametrize(
    "code",
    [
        "OPENQASM 2.0; gate r(t) a { U(t,0,0) a; } qreg q[1]; creg c[1]; r(pi) q[0]; measure q->c;",
        "OPENQASM 2.0; gate ecr a { U(pi,0,pi) a; } qreg q[1]; creg c[1]; ecr q[0]; measure q->c;",
        "OPENQASM 3.0; gate p(t) a { U(t,0,pi) a; } qubit[1] q; bit[1] c; p(pi) q[0]; c = measure q;",
        "OPENQASM 3.0; gate u a { U(pi,0,pi) a; } qubit[1] q; bit[1] c; u q[0]; c = measure q;",
    ],
)
async def test_openqasm_may_define_gates_under_any_name(place: Workplace, code: str) -> None:
    assert (await place.run(an_order(code))).circuits[0].counts == {"1": 1024}


async def test_the_inverse_of_a_state_preparation_undoes_it(place: Workplace) -> None:
    circuit = QuantumCircuit(2)
    circuit.prepare_state([0.6, 0, 0.8j, 0])
    circuit.append(circuit.data[0].operation.inverse(), [0, 1])
    assert (await run(place, measured(circuit))).counts == {"00": SHOTS}


REGISTERS = """
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit.classical import expr, types
qc = QuantumCircuit(QuantumRegister(2), ClassicalRegister(2, "a"), ClassicalRegister(2, "b"))
qc.x(1)
qc.measure(1, 1)  # a is 2, b is 0
qc.reset(1)
"""


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("expr.cast(qc.cregs[0], types.Bool())", True),
        ("expr.cast(qc.cregs[1], types.Bool())", False),
        ("expr.logic_not(qc.cregs[0])", False),
        ("expr.logic_not(qc.cregs[1])", True),
        ("expr.logic_and(qc.cregs[0], expr.logic_not(qc.clbits[0]))", True),
        ("expr.logic_or(qc.cregs[1], qc.clbits[0])", False),
    ],
)
@pytest.mark.parametrize("use", ["if_test", "while_loop", "store"])
async def test_a_register_is_true_unless_it_is_zero(
    place: Workplace, use: str, condition: str, *, holds: bool
) -> None:
    uses = {
        "if_test": "with qc.if_test(condition):\n    qc.x(0)",
        "while_loop": "with qc.while_loop(condition):\n    qc.x(0)\n    qc.break_loop()",
        "store": "qc.store(qc.clbits[3], condition)\nwith qc.if_test((qc.clbits[3], 1)):\n    qc.x(0)",
    }
    code = f"{REGISTERS}condition = {condition}\n{uses[use]}\nqc.measure(0, 2)\n"
    counts = (await place.run(an_order(code))).circuits[0].counts
    assert {key[1] for key in counts} == {"1" if holds else "0"}


@pytest.mark.parametrize(
    "branch",
    [
        "with qc.if_test((qc.cregs[0], 1)):\n    qc.store(qc.clbits[0], True)",
        "with qc.switch(qc.cregs[0]) as case:\n    with case(1):\n        qc.store(qc.clbits[0], True)",
        "with qc.for_loop(range(0)):\n    qc.store(qc.clbits[0], True)",
        "with qc.while_loop((qc.cregs[0], 1)):\n    qc.store(qc.clbits[0], True)",
        "with qc.if_test((qc.cregs[0], 2)):\n"
        "    with qc.if_test((qc.cregs[1], 2)):\n        qc.store(qc.clbits[0], True)",
    ],
    ids=["if", "switch", "for", "while", "nested"],
)
async def test_a_branch_that_only_stores_is_taken_when_it_should_be(place: Workplace, branch: str) -> None:
    code = f"{REGISTERS}{branch}\nqc.measure(0, 2)\n"
    assert (await place.run(an_order(code))).circuits[0].counts == {"00 10": 1024}
    taken = code.replace("range(0)", "range(1)").replace("], 1)", "], 2)").replace("case(1)", "case(2)")
    taken = taken.replace("qc.cregs[1], 2", "qc.cregs[1], 0")
    if "while" not in taken:
        assert (await place.run(an_order(taken))).circuits[0].counts == {"00 11": 1024}


async def test_a_measurement_that_no_run_comes_to_gives_no_counts(place: Workplace) -> None:
    code = """
    from qiskit import QuantumCircuit
    qc = QuantumCircuit(1, 1)
    with qc.for_loop(range(0)):
        qc.measure(0, 0)
    """
    failure = await place.failure(an_order(textwrap.dedent(code)))
    assert failure.reason == Reason.NO_MEASUREMENT
    assert "ends without having measured anything" in failure.message


async def test_a_circuit_that_is_in_a_list_twice_has_two_names(place: Workplace) -> None:
    code = (
        "from qiskit import QuantumCircuit\nqc = QuantumCircuit(1, 1)\nqc.measure(0, 0)\ncircuits = [qc, qc]"
    )
    finished = await place.run(an_order(code, entrypoint="circuits"))
    assert [ran.facts.name for ran in finished.circuits] == ["circuits[0]", "circuits[1]"]


TOO_LARGE = {
    "if": "with qc.if_test((qc.cregs[0], 6)):\n    qc.x(0)",
    "else": "with qc.if_test((qc.cregs[0], 6)) as no:\n    qc.x(0)\nwith no:\n    qc.x([0, 0])",
    "while": "with qc.while_loop((qc.cregs[0], 6)):\n    qc.x(0)\n    qc.break_loop()",
}


@pytest.mark.parametrize("use", TOO_LARGE)
async def test_a_register_is_never_a_number_that_is_too_large_for_it(place: Workplace, use: str) -> None:
    code = f"{REGISTERS}{TOO_LARGE[use]}\nqc.measure(0, 2)\n"
    assert (await place.run(an_order(code))).circuits[0].counts == {"00 10": 1024}
    equal = code.replace("6)", "2)").replace("qc.x([0, 0])", "qc.x(1)")
    assert (await place.run(an_order(equal))).circuits[0].counts == {"01 10": 1024}


async def test_openqasm_2_compares_registers_with_numbers_of_any_size(place: Workplace) -> None:
    code = "OPENQASM 2.0; qreg q[1]; creg c[1]; creg d[1]; if(c==2) U(pi,0,pi) q[0]; measure q->d;"
    assert (await place.run(an_order(code))).circuits[0].counts == {"0 0": 1024}


LOOSE = {
    "if": "with qc.if_test((qc.clbits[1], 1)):\n    qc.measure(0, 2)",
    "expression": "with qc.if_test(expr.logic_not(qc.clbits[0])):\n    qc.store(qc.clbits[2], qc.clbits[1])",
    "while": "with qc.while_loop((qc.clbits[2], 0)):\n    qc.measure(0, 2)",
    "switch": "with qc.switch(qc.clbits[1]) as case:\n    with case(True):\n        qc.measure(0, 2)",
    "deeper": (
        "with qc.if_test((qc.clbits[1], 1)):\n    with qc.if_test((qc.clbits[0], 0)):\n        qc.measure(0, 2)"
    ),
}


@pytest.mark.parametrize("use", LOOSE)
@pytest.mark.parametrize("bits", ["[Clbit(), Clbit(), Clbit()]", "ClassicalRegister(1), [Clbit(), Clbit()]"])
async def test_branches_within_branches_look_at_bits_without_a_register(
    place: Workplace, bits: str, use: str
) -> None:
    code = f"""
from qiskit import ClassicalRegister, QuantumCircuit
from qiskit.circuit import Clbit, Qubit
from qiskit.circuit.classical import expr
qc = QuantumCircuit([Qubit()], {bits})
qc.x(0)
with qc.for_loop(range(1)):
    qc.measure(0, 1)
{textwrap.indent(LOOSE[use], "    ")}
"""
    assert (await place.run(an_order(code))).circuits[0].counts == {"110": 1024}


LOOKED_AT = {
    "if": "with qc.if_test((qc.cregs[0], 2)):\n    qc.measure(0, 2)",
    "expression": "with qc.if_test(expr.less(1, qc.cregs[0])):\n    qc.measure(0, 2)",
    "while": "with qc.while_loop((qc.cregs[0], 2)):\n    qc.measure(0, 2)\n    qc.break_loop()",
    "switch": "with qc.switch(qc.cregs[0]) as case:\n    with case(2):\n        qc.measure(0, 2)",
}


@pytest.mark.parametrize("use", LOOKED_AT)
@pytest.mark.parametrize("deeper", [0, 1])
async def test_branches_within_branches_look_at_registers_that_share_bits_out_of_order(
    place: Workplace, use: str, deeper: int
) -> None:
    code = f"""
from qiskit import ClassicalRegister, QuantumCircuit
from qiskit.circuit import Clbit, Qubit
from qiskit.circuit.classical import expr
bits = [Clbit(), Clbit(), Clbit()]
qc = QuantumCircuit([Qubit()], bits, ClassicalRegister(name="c", bits=[bits[1], bits[0]]))
qc.x(0)
qc.measure(0, 0)  # c is 2
with qc.for_loop(range(1)):
{textwrap.indent("with qc.for_loop(range(1)):", "    ") if deeper else ""}
{textwrap.indent(LOOKED_AT[use], "    " * (1 + deeper))}
"""
    assert (await place.run(an_order(code))).circuits[0].counts == {"101": 1024}


@pytest.mark.parametrize("bit", [0, 31, 32, 63, 64, 69])
@pytest.mark.parametrize("use", ["if", "while", "switch"])
async def test_wide_registers_are_compared_with_numbers(place: Workplace, use: str, bit: int) -> None:
    circuit = QuantumCircuit(QuantumRegister(1), ClassicalRegister(70), ClassicalRegister(1))
    circuit.x(0)
    circuit.measure(0, bit)
    register = circuit.cregs[0]
    if use == "if":
        with circuit.if_test((register, 1)):
            circuit.measure(0, 70)
    elif use == "while":
        with circuit.while_loop((register, 1)):
            circuit.measure(0, 70)
            circuit.break_loop()
    else:
        with circuit.switch(register) as case, case(1):
            circuit.measure(0, 70)
    assert {key[0] for key in (await run(place, circuit)).counts} == {"1" if bit == 0 else "0"}


@pytest.mark.parametrize(
    "modifiers",
    [
        [PowerModifier(0.5), InverseModifier()],
        [InverseModifier(), PowerModifier(0.5)],
        [PowerModifier(-0.5)],
        [PowerModifier(2), PowerModifier(0.5)],
        [PowerModifier(0.5), PowerModifier(3), InverseModifier()],
    ],
    ids=str,
)
@pytest.mark.parametrize("controls", [0, 1])
async def test_modifiers_apply_in_their_order(
    place: Workplace, modifiers: list[Modifier], controls: int
) -> None:
    matrix = np.array([[0, 1], [1, 0]], dtype=complex)
    for modifier in modifiers:
        if isinstance(modifier, InverseModifier):
            matrix = matrix.conj().T
        else:
            matrix = fractional_matrix_power(matrix, modifier.power)
    circuit = QuantumCircuit(1 + controls)
    for control in range(controls):
        circuit.h(control)
    circuit.ry(0.4, controls)
    more = [ControlModifier(controls)] if controls else []
    state = np.array(Statevector(circuit)).reshape(2, -1)
    circuit.append(AnnotatedOperation(XGate(), [*modifiers[:1], *more, *modifiers[1:]]), range(1 + controls))
    circuit.rx(0.9, controls)
    state[:, -1] = matrix @ state[:, -1]
    turn = np.array([[np.cos(0.45), -1j * np.sin(0.45)], [-1j * np.sin(0.45), np.cos(0.45)]])
    chances = abs(turn @ state).reshape(-1) ** 2
    expected = {f"{index:0{1 + controls}b}": chance for index, chance in enumerate(chances)}
    assert agree((await run(place, measured(circuit))).counts, expected)
