"""The language of a source is told by its beginning."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from qiskit import QuantumCircuit, qpy

from circuits import detect_format
from messages.circuit import Format


@pytest.mark.parametrize(
    ("content", "language"),
    [
        (b"from qiskit import QuantumCircuit\n", Format.PYTHON),
        (b"", Format.PYTHON),
        (b"OPENQASM 2.0;\nqreg q[1];", Format.QASM2),
        (b"OPENQASM 3.0;\nqubit q;", Format.QASM3),
        (b"OPENQASM 3;\nqubit q;", Format.QASM3),
        (b"OPENQASM 3.1;", Format.QASM3),
        (b"\xef\xbb\xbfOPENQASM 2.0;", Format.QASM2),
        (b"// a Bell pair\n\n/* two\nqubits */ OPENQASM 2.0;", Format.QASM2),
        (b'include "stdgates.inc";\nqubit q;', Format.QASM3),
        (b'// no version\ninclude "qelib1.inc";', Format.QASM2),
        (b'text = "OPENQASM 2.0;"', Format.PYTHON),
        (b"# OPENQASM 2.0;\nqc = 1", Format.PYTHON),
        (b"QISKIT_SHOTS = 100", Format.PYTHON),
        (b"QISKIT = 1", Format.PYTHON),
        (b"QISKIT\x0d", Format.QPY),
    ],
)
def test_the_beginning_decides(content: bytes, language: Format) -> None:
    assert detect_format(content) is language


def test_a_qpy_file_is_told_by_its_magic() -> None:
    file = io.BytesIO()
    qpy.dump(QuantumCircuit(1), file)
    assert detect_format(file.getvalue()) is Format.QPY


@given(st.binary())
def test_any_bytes_have_a_format(content: bytes) -> None:
    assert detect_format(content) in Format
