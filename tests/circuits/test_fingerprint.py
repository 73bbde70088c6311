"""The hash of a circuit: equal for equal circuits in any process, different for different ones."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import ClassicalRegister, QuantumCircuit, QuantumRegister
from qiskit.circuit import Parameter
from qiskit.circuit.library import PauliEvolutionGate, QFTGate
from qiskit.circuit.random import random_circuit
from qiskit.quantum_info import Clifford, SparsePauliOp

from circuits import fingerprint, freeze, thaw

ELABORATE = """
from qiskit import QuantumCircuit, QuantumRegister, ClassicalRegister
from qiskit.circuit import Parameter
from qiskit.circuit.classical import expr, types
from qiskit.circuit.library import PauliEvolutionGate
from qiskit.quantum_info import SparsePauliOp

def elaborate():
    inner = QuantumCircuit(2)
    inner.h(0)
    inner.cp(0.25, 0, 1)
    qc = QuantumCircuit(QuantumRegister(3, "q"), ClassicalRegister(2, "c"), ClassicalRegister(1, "d"))
    qc.append(inner.to_gate(), [0, 2])
    qc.append(inner.to_gate().control(1), [0, 1, 2])
    qc.append(PauliEvolutionGate(SparsePauliOp(["XX", "ZZ"], [1, 2]), time=0.5), [0, 1])
    qc.unitary([[0, 1], [1, 0]], [0])
    flag = qc.add_var("flag", expr.lift(False))
    qc.measure([0, 1], [0, 1])
    qc.store(flag, expr.equal(qc.cregs[0], 2))
    with qc.if_test(expr.logic_and(flag, qc.clbits[1])) as otherwise:
        qc.x(2)
    with otherwise:
        qc.rx(Parameter("angle"), 2)
    with qc.for_loop(range(3)) as i:
        with qc.for_loop([1, 2]) as j:
            qc.rz(i + j, 0)
    with qc.switch(qc.cregs[0]) as case:
        with case(1, 2):
            qc.y(0)
        with case(case.DEFAULT):
            qc.z(0)
    with qc.while_loop((qc.clbits[2], 0)):
        qc.measure(2, 2)
    qc.measure(2, 2)
    return qc
"""


def elaborate() -> QuantumCircuit:
    names: dict[str, Any] = {}
    exec(ELABORATE, names)
    return names["elaborate"]()


def test_another_process_that_has_built_other_circuits_first_gives_the_same_hash() -> None:
    program = ELABORATE + textwrap.dedent("""
        from circuits import fingerprint
        other = QuantumCircuit(1, 1)
        for _ in range(7):
            with other.for_loop(range(2)) as k:
                other.rx(k, 0)
            QuantumCircuit(3).to_gate()
        print(fingerprint(elaborate()))
    """)
    printed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert printed.stdout.strip() == fingerprint(elaborate())


def test_freezing_does_not_change_it() -> None:
    circuit = elaborate()
    assert fingerprint(thaw(freeze([circuit]))[0]) == fingerprint(circuit)


def variants() -> Iterator[tuple[str, QuantumCircuit]]:
    def bell(
        first: str = "h",
        angle: float | Parameter = 0.5,
        width: int = 2,
        names: tuple[str, ...] = ("c",),
        phase: float = 0.0,
        cbits: tuple[int, ...] = (0, 1),
    ) -> QuantumCircuit:
        qc = QuantumCircuit(QuantumRegister(width, "q"), global_phase=phase)
        for name in names:
            qc.add_register(ClassicalRegister(2 // len(names), name))
        getattr(qc, first)(0)
        qc.cx(0, 1)
        qc.rz(angle, 1)
        qc.measure([0, 1], list(cbits))
        return qc

    yield "plain", bell()
    yield "another gate", bell(first="x")
    yield "another angle", bell(angle=0.5 + 1e-15)
    yield "a parameter", bell(angle=Parameter("a"))
    yield "another parameter", bell(angle=Parameter("b"))
    yield "more qubits", bell(width=3)
    yield "another register", bell(names=("d",))
    yield "two registers", bell(names=("c", "d"))
    yield "a phase", bell(phase=1.0)
    yield "other bits", bell(cbits=(1, 0))
    for label, operation in {
        "a unitary": np.eye(2),
        "another unitary": np.diag([1, -1]),
    }.items():
        qc = bell()
        qc.unitary(operation, [0])
        yield label, qc
    for label, operator in {"an evolution": ["XX"], "another evolution": ["ZZ"]}.items():
        qc = bell()
        qc.append(PauliEvolutionGate(SparsePauliOp(operator), time=1.0), [0, 1])
        yield label, qc
    for label, gate in {"a Clifford": "h", "another Clifford": "s"}.items():
        inner = QuantumCircuit(1)
        getattr(inner, gate)(0)
        qc = bell()
        qc.append(Clifford(inner), [0])
        yield label, qc
    for inverse in (False, True):
        qc = bell()
        qc.append(QFTGate(2).inverse(annotated=inverse) if inverse else QFTGate(2), [0, 1])
        yield f"a transform, inverse {inverse}", qc
    for value in (0, 1):
        qc = bell()
        with qc.if_test((qc.clbits[0], value)):
            qc.x(0)
        yield f"a condition on {value}", qc
    for index in (range(3), [0, 1], range(4)):
        qc = bell()
        with qc.for_loop(index):
            qc.x(0)
        yield f"a loop over {index}", qc


def test_whatever_a_circuit_does_differently_changes_it() -> None:
    hashes = {label: fingerprint(circuit) for label, circuit in variants()}
    assert len(set(hashes.values())) == len(hashes), hashes
    assert hashes == {label: fingerprint(circuit) for label, circuit in variants()}


@pytest.mark.parametrize("change", ["name", "metadata", "label", "composite", "qubit register"])
def test_what_does_not_matter_does_not_change_it(change: str) -> None:
    def build(changed: bool) -> QuantumCircuit:
        inner = QuantumCircuit(1, name="mine" if changed and change == "composite" else None)
        inner.h(0)
        qc = QuantumCircuit(QuantumRegister(1, "z" if changed and change == "qubit register" else "q"))
        qc.add_register(ClassicalRegister(1, "c"))
        qc.append(inner.to_gate(), [0])
        qc.x(0, label="flip" if changed and change == "label" else None)
        qc.measure(0, 0)
        if changed and change == "name":
            qc.name = "bell"
        if changed and change == "metadata":
            qc.metadata = {"at": 1}
        return qc

    assert fingerprint(build(False)) == fingerprint(build(True))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 100_000))
def test_a_copy_and_a_frozen_copy_have_the_same_hash(seed: int) -> None:
    circuit = random_circuit(4, 5, measure=True, conditional=True, reset=True, seed=seed)
    expected = fingerprint(circuit)
    assert expected == fingerprint(circuit.copy("another name")) == fingerprint(thaw(freeze([circuit]))[0])
    assert expected == fingerprint(
        random_circuit(4, 5, measure=True, conditional=True, reset=True, seed=seed)
    )
