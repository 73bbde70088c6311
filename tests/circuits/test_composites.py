"""Operations that only their definition describes: freezing keeps what they do, and no name is believed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from qiskit import QuantumCircuit
from qiskit.circuit import AnnotatedOperation, ControlModifier, Duration, Gate, Operation, PowerModifier
from qiskit.circuit.classical import expr
from qiskit.circuit.library import (
    C4XGate,
    Isometry,
    MCMTGate,
    MCXGate,
    ModularAdderGate,
    PhaseOracleGate,
    QFTGate,
    RYGate,
    StatePreparation,
    UCGate,
    UCRXGate,
    XGate,
)
from qiskit.quantum_info import Operator

from circuits import CircuitError, describe, fingerprint, freeze, is_clifford, load, simulated_qubits, thaw
from circuits.composites import is_composite, without_names
from messages.failure import ExecutorReason as Reason

TWO_BITS = [0.6, 0, 0.8j, 0]
FLIP = np.array([[0, 1], [1, 0]])


def on_all(operation: Operation) -> QuantumCircuit:
    circuit = QuantumCircuit(operation.num_qubits, operation.num_clbits)
    circuit.append(operation, range(operation.num_qubits), range(operation.num_clbits))
    return circuit


def a_flip(name: str) -> Gate:
    circuit = QuantumCircuit(1, name=name)
    circuit.x(0)
    return circuit.to_gate()


LIBRARY = {
    "the inverse of a preparation": StatePreparation(TWO_BITS).inverse(),
    "the inverse of a preparation by label": StatePreparation("+r").inverse(),
    "an adder": ModularAdderGate(2),
    "an adder with a control": ModularAdderGate(1).control(1, annotated=False),
    "an adder with a modifier": AnnotatedOperation(ModularAdderGate(1), ControlModifier(1, 0)),
    "an adder within another gate": on_all(ModularAdderGate(2)).to_gate(),
    "an oracle": PhaseOracleGate("a & ~b"),
    "a choice of unitaries": UCGate([np.eye(2), FLIP]),
    "an isometry": Isometry(np.eye(2), 0, 0),
    "rotations by choice": UCRXGate([0.1, 0.2]),
    "gates with many targets": MCMTGate(RYGate(0.3), 2, 2),
    "a preparation": StatePreparation(TWO_BITS),
    "an open control": RYGate(0.3).control(3, ctrl_state=2, annotated=False),
    "a flip with four controls": C4XGate(),
    "a labelled flip with four controls": C4XGate(label="mine", ctrl_state=5),
    "a flip with five controls": MCXGate(5, ctrl_state=3),
    "a transform": QFTGate(3),
    "a power": AnnotatedOperation(RYGate(2), PowerModifier(3)),
}


@pytest.mark.parametrize("gate", LIBRARY)
def test_what_qpy_would_lose_is_frozen_by_its_definition(gate: str) -> None:
    circuit = on_all(LIBRARY[gate])
    (thawed,) = thaw(freeze([circuit]))
    assert np.allclose(Operator(thawed).data, Operator(circuit).data)
    assert fingerprint(thawed) == fingerprint(circuit)
    assert fingerprint(thaw(freeze([thawed]))[0]) == fingerprint(circuit)


def test_freezing_reaches_into_branches_and_leaves_the_circuit_as_it_is() -> None:
    circuit = QuantumCircuit(2, 1)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.append(StatePreparation(TWO_BITS).inverse(), [0, 1])
    before = circuit.copy()
    (thawed,) = thaw(freeze([circuit]))
    assert circuit == before
    block, expected = (one.data[1].operation.blocks[0] for one in (thawed, circuit))
    assert np.allclose(Operator(block).data, Operator(expected).data)


@pytest.mark.parametrize("name", ["h", "t", "barrier", "delay", "measure", "unitary", "if_else", "kraus"])
def test_a_composite_is_what_its_definition_says_whatever_its_name(name: str) -> None:
    circuit = QuantumCircuit(1, 1)
    circuit.append(a_flip(name), [0])
    assert is_composite(circuit.data[0].operation)
    assert is_clifford(circuit)
    other = QuantumCircuit(1, 1)
    other.append(a_flip("mine"), [0])
    assert fingerprint(circuit) == fingerprint(other)
    assert [one.operation.name for one in without_names(circuit).data] == ["composite"]
    assert [one.operation.name for one in without_names(circuit).data[0].operation.definition.data] == ["x"]


def test_a_gate_of_ones_own_class_is_a_composite() -> None:
    class Mine(Gate):  # type: ignore[misc]  # Qiskit has no types
        def __init__(self) -> None:
            super().__init__("h", 1, [])

        def _define(self) -> None:
            self.definition = QuantumCircuit(1)
            self.definition.t(0)

    circuit = on_all(Mine())
    assert not is_clifford(circuit)
    (thawed,) = thaw(freeze([circuit]))
    assert fingerprint(thawed) == fingerprint(circuit)


def test_what_the_library_makes_itself_goes_by_its_name() -> None:
    for gate in (
        XGate(),
        C4XGate(),
        MCXGate(6),
        QFTGate(2),
        thaw(freeze([on_all(C4XGate())]))[0][0].operation,
    ):
        assert without_names(on_all(gate)).data[0].operation.name == gate.name


def test_a_gate_named_like_a_measurement_measures_nothing() -> None:
    circuit = QuantumCircuit(1, 1)
    circuit.append(a_flip("measure"), [0])
    with pytest.raises(CircuitError) as caught:
        load(freeze([circuit]))
    assert caught.value.reason is Reason.NO_MEASUREMENT


def test_a_gate_named_like_a_barrier_connects_its_qubits() -> None:
    inner = QuantumCircuit(2, name="barrier")
    inner.cx(0, 1)
    circuit = QuantumCircuit(2, 1)
    circuit.h(0)
    circuit.append(inner.to_gate(), [0, 1])
    circuit.measure(1, 0)
    assert simulated_qubits(circuit) == 2


def test_a_composite_is_counted_under_its_own_name() -> None:
    circuit = QuantumCircuit(1, 1)
    circuit.append(a_flip("oracle"), [0])
    assert describe(thaw(freeze([circuit]))[0]).gate_types == {"oracle": 1}


def test_whole_numbers_and_others_make_one_circuit() -> None:
    one, other, third = QuantumCircuit(1), QuantumCircuit(1), QuantumCircuit(1)
    one.rx(2, 0)
    other.rx(2.0, 0)
    third.rx(math.nextafter(2.0, 3), 0)
    assert fingerprint(one) == fingerprint(other) != fingerprint(third)


@pytest.mark.parametrize(
    ("duration", "unit"), [(200, "us"), (1.5, "us"), (0.1, "ns"), (3, "ps"), (2, "s"), (7, "dt"), (7.5, "ms")]
)
def test_a_delay_keeps_its_unit(duration: float, unit: str) -> None:
    inner, circuit = QuantumCircuit(1), QuantumCircuit(1, 1)
    inner.delay(duration, 0, unit=unit)
    circuit.append(inner, [0])
    circuit.delay(duration, 0, unit=unit)
    circuit.measure(0, 0)
    with circuit.if_test((circuit.clbits[0], 1)):
        circuit.delay(duration, 0, unit=unit)
    (thawed,) = thaw(freeze([circuit]))
    assert fingerprint(thawed) == fingerprint(circuit)
    for delay in (thawed.data[1].operation, thawed.data[3].operation.blocks[0].data[0].operation):
        assert (delay.duration, delay.unit) == (duration, unit)
    longer = QuantumCircuit(1)
    longer.delay(duration, 0, unit="s" if unit == "us" else "us")
    assert fingerprint(longer) != fingerprint(inner)


def test_a_delay_by_a_constant_is_one_by_a_number() -> None:
    one, other = QuantumCircuit(1), QuantumCircuit(1)
    one.delay(expr.lift(Duration.us(2)), 0)
    other.delay(2, 0, unit="us")
    assert fingerprint(one) == fingerprint(other)
    delay = thaw(freeze([one]))[0].data[0].operation
    assert (delay.duration, delay.unit) == (2, "us")
