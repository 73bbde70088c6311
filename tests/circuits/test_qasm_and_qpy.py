"""Circuits that are data: OpenQASM 2 and 3, QPY."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from qiskit import QuantumCircuit, qpy
from qiskit.circuit import Duration, Parameter
from qiskit.circuit.classical import expr
from qiskit.circuit.random import random_circuit

from circuits import CircuitError, freeze, load, thaw
from messages.circuit import Format
from messages.failure import ExecutorReason as Reason

QASM2 = """OPENQASM 2.0;
include "qelib1.inc";
qreg q[2];
creg c[2];
h q[0];
cx q[0], q[1];
measure q -> c;
"""
QASM3 = """OPENQASM 3.0;
include "stdgates.inc";
qubit[2] q;
bit[2] c;
h q[0];
cx q[0], q[1];
c = measure q;
"""


def a_bell(name: str | None = None) -> QuantumCircuit:
    qc = QuantumCircuit(2, 2, name=name)
    qc.h(0)
    qc.cx(0, 1)
    qc.measure([0, 1], [0, 1])
    return qc


def refused(*arguments: Any) -> CircuitError:
    with pytest.raises(CircuitError) as caught:
        load(*arguments)
    return caught.value


@pytest.mark.parametrize(
    "content", [QASM2.encode(), QASM3.encode(), freeze([a_bell()])], ids=["2", "3", "qpy"]
)
def test_a_bell_pair_in_each_language(content: bytes) -> None:
    (built,) = load(content)
    assert built.name in ("circuit", "circuits[0]")
    assert dict(built.circuit.count_ops()) == {"h": 1, "cx": 1, "measure": 2}


@pytest.mark.parametrize("text", [QASM2, QASM3], ids=["2", "3"])
@pytest.mark.parametrize("broken", ["nosuchgate q[0];", "h q[0", "h r[0];"])
def test_an_error_in_openqasm_names_its_line(text: str, broken: str) -> None:
    error = refused(text.replace("h q[0];", broken).encode())
    assert error.reason is Reason.CIRCUIT_SYNTAX_ERROR
    assert error.line in (5, 6)
    assert error.message.startswith(f"line {error.line}: ")


@pytest.mark.parametrize("text", [QASM2, QASM3], ids=["2", "3"])
def test_openqasm_reads_no_files(tmp_path: Path, text: str) -> None:
    (tmp_path / "secret.inc").write_text("gate secret a { }")
    for include in ("stdgates.inc", "qelib1.inc"):
        text = text.replace(include, str(tmp_path / "secret.inc"))
    assert refused(text.encode()).reason is Reason.CIRCUIT_SYNTAX_ERROR


WITHOUT_MEASUREMENT = {
    "2": (QASM2.replace("measure q -> c;", ""), "add a register of bits and `measure q -> c;`"),
    "3": (QASM3.replace("c = measure q;", ""), "add a register of bits and `c = measure q;`"),
}


@pytest.mark.parametrize("language", WITHOUT_MEASUREMENT)
def test_openqasm_that_measures_nothing_is_told_how_in_its_own_words(language: str) -> None:
    text, remedy = WITHOUT_MEASUREMENT[language]
    error = refused(text.encode())
    assert error.reason is Reason.NO_MEASUREMENT
    assert error.message.startswith("the circuit measures no qubit into a classical bit")
    assert error.message.endswith(remedy)


PYTHON = b"# a comment\nfrom qiskit import QuantumCircuit\nqc = QuantumCircuit(1, 1)\nqc.measure(0, 0)\n"


@pytest.mark.parametrize(
    ("content", "given", "is_in"),
    [
        (PYTHON, Format.QASM2, "python"),
        (PYTHON, Format.QASM3, "python"),
        (PYTHON, Format.QPY, "python"),
        (QASM2.encode(), Format.QPY, "qasm2"),
        (QASM3.encode(), Format.QASM2, "qasm3"),
        (freeze([a_bell()]), Format.QASM3, "qpy"),
        (QASM3.encode(), Format.PYTHON, "qasm3"),
    ],
)
def test_another_language_than_was_given_is_named_with_the_field(
    content: bytes, given: Format, is_in: str
) -> None:
    error = refused(content, given)
    assert error.message.endswith(f"; this looks like {is_in}: set spec.circuit.format to {is_in}")
    assert "upgrade" not in error.message


def test_an_error_in_the_language_that_was_given_says_nothing_of_another() -> None:
    assert (
        "this looks like" not in refused(QASM3.replace("h q", "nosuchgate q").encode(), Format.QASM3).message
    )
    assert "this looks like" not in refused(b"qubit q; q", Format.QASM3).message


def test_bytes_without_the_mark_of_qpy_are_not_said_to_be_too_new() -> None:
    error = refused(b"\x00\x01\x02", Format.QPY)
    assert error.reason is Reason.CIRCUIT_INVALID
    assert "the source is no QPY" in error.message
    assert "spec.circuit.format" in error.message


@pytest.mark.parametrize("given", [None, *Format])
def test_a_notebook_is_to_be_exported(given: Format | None) -> None:
    notebook = b'{"cells": [{"cell_type": "code", "source": ["qc = 1"]}], "metadata": {}, "nbformat": 4}\n'
    error = refused(notebook, given)
    assert error.reason is Reason.CIRCUIT_SYNTAX_ERROR
    assert "the source is a Jupyter notebook" in error.message
    assert "export it as a script" in error.message


def test_a_circuit_of_a_qpy_file_is_chosen_by_name() -> None:
    content = freeze([a_bell("first"), a_bell("second")])
    assert [built.name for built in load(content)] == ["first", "second"]
    assert [built.name for built in load(content, None, "second")] == ["second"]
    error = refused(content, None, "third")
    assert error.reason is Reason.NO_CIRCUIT
    assert "it has first, second" in error.message


def test_an_older_qpy_is_read_from_a_user_but_not_thawed() -> None:
    file = io.BytesIO()
    qpy.dump(a_bell(), file, version=13)
    assert len(load(file.getvalue())) == 1
    with pytest.raises(CircuitError, match="not in the form they were frozen in"):
        thaw(file.getvalue())


def test_a_delay_by_a_constant_keeps_its_unit_in_a_qpy_of_the_users() -> None:
    circuit = a_bell()
    circuit.delay(expr.lift(Duration.us(100)), 0)
    file = io.BytesIO()
    qpy.dump(circuit, file)
    (built,) = load(file.getvalue())
    delay = built.circuit.data[-1].operation
    assert (delay.duration, delay.unit) == (100, "us")


def composed(circuit: QuantumCircuit) -> QuantumCircuit:
    outer = a_bell("composed")
    outer.append(circuit.to_instruction(), range(2))
    return outer


def branched(circuit: QuantumCircuit) -> QuantumCircuit:
    outer = a_bell("branched")
    with outer.if_test((outer.clbits[0], 1)):
        outer.append(circuit.to_instruction(), range(2))
    return outer


@pytest.mark.parametrize("place", [lambda circuit: circuit, composed, branched])
@pytest.mark.parametrize(
    ("duration", "unit", "kept"),
    [
        (100, "us", False),
        (100, "dt", False),
        (0, "us", True),
        (expr.lift(Duration.us(100)), None, True),
        (expr.lift(Duration.dt(100)), None, True),
    ],
)
def test_a_delay_of_a_qpy_file_without_its_unit_is_refused_for_noise(
    place: Callable[[QuantumCircuit], QuantumCircuit], duration: Any, unit: str | None, kept: bool
) -> None:
    waiting = QuantumCircuit(2, name="waiting")
    waiting.delay(duration, 0, **({"unit": unit} if unit else {}))
    circuit = place(waiting)
    if circuit is waiting:
        circuit.measure_all()
    file = io.BytesIO()
    qpy.dump([circuit, a_bell("other")], file)
    assert len(load(file.getvalue())) == 2
    assert len(load(file.getvalue(), None, "other", noise=True)) == 1
    if kept:
        assert len(load(file.getvalue(), noise=True)) == 2
        return
    with pytest.raises(CircuitError) as raised:
        load(file.getvalue(), noise=True)
    assert raised.value.reason is Reason.CIRCUIT_INVALID
    assert f"circuit {circuit.name} has a delay" in raised.value.message
    assert "expr.lift(Duration.us(100))" in raised.value.message
    assert raised.value.message.endswith("or give the program itself in spec.circuit")


def test_what_was_frozen_has_the_units_of_its_delays() -> None:
    circuit = a_bell()
    circuit.delay(100, 0)
    circuit.delay(3, 1, unit="us")
    (built,) = load(freeze([circuit]), noise=True)
    delays = [one.operation for one in built.circuit.data if one.name == "delay"]
    assert [(delay.duration, delay.unit) for delay in delays] == [(100, "dt"), (3, "us")]


def test_an_entry_point_for_openqasm_is_a_mistake() -> None:
    error = refused(QASM2.encode(), None, "qc")
    assert error.reason is Reason.INVALID_SPEC


@pytest.mark.parametrize("language", [Format.QASM2, Format.QASM3])
def test_text_that_is_none_is_refused(language: Format) -> None:
    assert "not UTF-8" in refused(b"\xff\xfe", language).message


def test_a_parametrised_qpy_circuit_is_bound() -> None:
    qc = QuantumCircuit(1, 1)
    qc.rx(Parameter("a"), 0)
    qc.measure(0, 0)
    (built,) = load(freeze([qc]), parameters=[{"a": 1.5}])
    assert built.circuit.data[0].params == [1.5]


@settings(max_examples=60, deadline=None)
@given(
    st.binary(max_size=200), st.sampled_from([b"", b"QISKIT\x12", b"OPENQASM 2.0;", freeze([a_bell()])[:80]])
)
def test_rubbish_is_an_error_with_a_reason_and_nothing_else(rubbish: bytes, start: bytes) -> None:
    for language in (Format.QASM2, Format.QPY):
        try:
            load(start + rubbish, language)
        except CircuitError as error:
            assert error.message  # noqa: PT017 - that nothing else is raised is the point


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10_000))
def test_freezing_keeps_the_circuit(seed: int) -> None:
    circuit = random_circuit(3, 4, measure=True, conditional=True, seed=seed)
    assert thaw(freeze([circuit, a_bell()])) == [circuit, a_bell()]


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (QASM3.replace("h q[0]", "rx(1/0) q[0]"), "ZeroDivisionError"),
        (QASM3.replace("h q[0]", "h q[7]"), "IndexError"),
        (QASM2.replace("h q[0]", "store q[0]").replace("qreg", "gate store a { x a; }\nqreg"), "IndexError"),
    ],
)
def test_what_a_reader_stumbles_over_is_a_fault_of_the_program(program: str, said: str) -> None:
    error = refused(program.encode())
    assert error.reason is Reason.CIRCUIT_INVALID
    assert error.message.startswith(f"the program cannot be read: {said}")


def test_a_panic_of_a_reader_is_a_fault_of_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):
        pass

    def panic(*_: object, **__: object) -> None:
        raise PanicException("no entry found for key")

    monkeypatch.setattr("qiskit.qasm2.loads", panic)
    assert refused(QASM2.encode()).message.endswith("PanicException: no entry found for key")
    monkeypatch.setattr("qiskit.qpy.load", panic)
    assert refused(freeze([a_bell()])).message.endswith("the QPY cannot be read: no entry found for key")


def test_qpy_that_is_nested_too_deeply_is_refused() -> None:
    body = QuantumCircuit(1, 1)
    for _ in range(60):
        outer = QuantumCircuit(1, 1)
        outer.if_test((outer.clbits[0], 0), body, [0], [0])
        body = outer
    body.measure(0, 0)
    with pytest.raises(CircuitError) as caught:
        thaw(freeze([body]))
    assert caught.value.reason is Reason.CIRCUIT_INVALID
    assert "nested too deeply" in caught.value.message
