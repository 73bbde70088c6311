"""User code runs as the program that it is."""

import msgspec
import pytest

from circuits import CircuitError, load
from messages.circuit import Format
from messages.failure import ExecutorReason as Reason
from tests.circuits.conftest import Python, Refused

BELL = "qc = QuantumCircuit(2); qc.h(0); qc.cx(0, 1); qc.measure_all()"


@pytest.mark.parametrize(
    "program",
    [
        """
        def prepare(circuit):
            flip(circuit)
        def flip(circuit):
            circuit.x(0)
        qc = QuantumCircuit(1, 1)
        prepare(qc)
        qc.measure(0, 0)
        """,
        """
        def build():
            import math
            from qiskit.circuit.library import XGate
            qc = QuantumCircuit(1, 1)
            qc.append(XGate(), [math.floor(0.5)])
            qc.measure(0, 0)
            return qc
        qc = build()
        """,
        """
        class Builder:
            width = 1
            def build(self):
                qc = QuantumCircuit(self.width, self.width)
                [qc.x(i) for i in range(self.width)]
                qc.measure(0, 0)
                return qc
        qc = Builder().build()
        """,
        """
        from dataclasses import dataclass
        @dataclass
        class Settings:
            width: int = 1
        s = Settings()
        qc = QuantumCircuit(s.width, s.width)
        qc.x(0)
        qc.measure(0, 0)
        """,
        """
        import pickle
        class Settings:
            width = 1
        s = pickle.loads(pickle.dumps(Settings()))
        qc = QuantumCircuit(s.width, 1)
        qc.x(0)
        qc.measure(0, 0)
        """,
        """
        def main():
            global qc
            qc = QuantumCircuit(1, 1)
            qc.x(0)
            qc.measure(0, 0)
        if __name__ == "__main__":
            main()
        """,
        """
        import sys, inspect
        def one():
            return 1
        assert sys.modules["__main__"].one() == 1
        assert "return 1" in inspect.getsource(one)
        qc = QuantumCircuit(1, 1)
        qc.x(0)
        qc.measure(0, 0)
        """,
    ],
    ids=["helpers", "import in a function", "class", "dataclass", "pickle", "main guard", "module"],
)
def test_ordinary_programs_run_as_on_the_command_line(python: Python, program: str) -> None:
    (built,) = python(program)
    assert built.name == "qc"
    assert dict(built.circuit.count_ops()) == {"x": 1, "measure": 1}


def test_a_source_may_be_in_another_encoding() -> None:
    source = '# -*- coding: latin-1 -*-\nfrom qiskit import QuantumCircuit\nname = "é"\n' + BELL
    (built,) = load(source.encode("latin-1"))
    assert built.circuit.num_qubits == 2


@pytest.mark.parametrize(
    "first", [b"# caf\xe9", b"# coding: no-such-thing"], ids=["not what it should be", "not known"]
)
def test_an_encoding_that_cannot_be_is_a_syntax_error_on_no_line(first: bytes) -> None:
    with pytest.raises(CircuitError) as caught:
        load(first + b"\n" + BELL.encode(), Format.PYTHON)
    assert caught.value.reason is Reason.CIRCUIT_SYNTAX_ERROR
    assert "encoding" in caught.value.message
    assert caught.value.line is None


@pytest.mark.parametrize("way", ["raise ValueError('mine')", "import sys; sys.exit(3)", "self._define()"])
def test_a_definition_that_fails_is_an_error_of_the_code(refused: Refused, way: str) -> None:
    error = refused(
        f"""
        from qiskit.circuit import Gate
        class Mine(Gate):
            def __init__(self): super().__init__("mine", 1, [])
            def _define(self):
                {way}
        qc = QuantumCircuit(1, 1)
        qc.append(Mine(), [0])
        qc.measure(0, 0)
        """
    )
    assert error.reason in (Reason.USER_CODE_ERROR, Reason.CIRCUIT_INVALID)
    assert "mine" in error.message or "3" in error.message or "nested too deeply" in error.message


def test_a_syntax_error_names_its_line(refused: Refused) -> None:
    error = refused("x = 1\ny = (\n")
    assert error.reason is Reason.CIRCUIT_SYNTAX_ERROR
    assert error.line == 3
    assert error.message == "line 3: '(' was never closed"
    assert "    y = (" in (error.traceback or "")


def test_an_error_shows_the_users_lines_only(refused: Refused) -> None:
    error = refused(
        """
        import json
        def inner():
            return json.loads("{")
        def outer():
            inner()
        outer()
        """
    )
    assert error.reason is Reason.USER_CODE_ERROR
    assert error.line == 5
    assert error.message.startswith("JSONDecodeError: ")
    assert error.message.endswith("(line 5)")
    assert error.traceback is not None
    assert error.traceback.count('File "circuit.py"') == 3
    assert 'return json.loads("{")' in error.traceback
    assert "decoder.py" not in error.traceback
    assert "user_module" not in error.traceback


def test_a_circuit_that_qiskit_refuses_is_invalid_and_has_a_line(refused: Refused) -> None:
    error = refused("qc = QuantumCircuit(2)\nqc.cx(0, 0)")
    assert (error.reason, error.line) == (Reason.CIRCUIT_INVALID, 3)
    assert error.message == "CircuitError: duplicate bit arguments (line 3)"


@pytest.mark.parametrize("angle", ["nan", "inf"])
def test_an_angle_that_is_no_number_is_named(refused: Refused, angle: str) -> None:
    error = refused(f"qc = QuantumCircuit(1)\nqc.rx(float('{angle}'), 0)\nqc.measure_all()")
    assert error.reason is Reason.CIRCUIT_INVALID
    assert error.message == f"circuit qc has a gate rx with the parameter {angle}, expected a finite number"


NO_NUMBERS = {
    "rx": "part.rx(np.float32('nan'), 0)",
    "unitary": "part.append(UnitaryGate(np.full((2, 2), np.inf), check_input=False), [0])",
    "global_phase": "part.global_phase = float('nan')",
}


@pytest.mark.parametrize("way", ["part.to_gate()", "part.to_gate().control(annotated=True)"])
@pytest.mark.parametrize("gate", NO_NUMBERS)
def test_what_is_no_number_is_found_inside_a_composite(refused: Refused, gate: str, way: str) -> None:
    """Aer would make counts of it."""
    error = refused(
        "import numpy as np\nfrom qiskit.circuit.library import UnitaryGate\npart = QuantumCircuit(1)\n"
        f"{NO_NUMBERS[gate]}\nwhole = {way}\n"
        "qc = QuantumCircuit(whole.num_qubits)\nqc.append(whole, qc.qubits)\nqc.measure_all()"
    )
    assert error.reason is Reason.CIRCUIT_INVALID
    assert error.message.startswith(f"circuit qc has a gate {gate} with the parameter ")


def test_a_sum_that_is_too_long_for_the_compiler_is_a_fault_of_the_text(refused: Refused) -> None:
    error = refused("x = " + "1 + " * 100_000 + "1")
    assert error.reason is Reason.CIRCUIT_SYNTAX_ERROR
    assert "nested too deeply" in error.message


@pytest.mark.parametrize(
    ("call", "said"), [("sys.exit(3)", "3"), ("sys.exit()", ""), ("sys.exit('no')", "'no'")]
)
def test_leaving_is_reported_with_its_code(refused: Refused, call: str, said: str) -> None:
    error = refused(f"import sys\n{call}")
    assert (error.reason, error.line) == (Reason.USER_CODE_EXITED, 3)
    assert f"sys.exit({said})" in error.message


@pytest.mark.parametrize(
    "raising",
    [
        "raise KeyboardInterrupt",
        "raise GeneratorExit",
        "raise type('E', (BaseException,), {})",
        "def f(): f()\nf()",
    ],
)
def test_whatever_is_raised_is_caught(refused: Refused, raising: str) -> None:
    assert refused(raising).reason is Reason.USER_CODE_ERROR


def test_an_exception_that_cannot_be_printed_is_still_reported(refused: Refused) -> None:
    error = refused("class E(Exception):\n    def __str__(self): raise SystemExit(0)\nraise E")
    assert (error.reason, error.message) == (Reason.USER_CODE_ERROR, "E (line 4)")


def test_a_message_is_one_printable_line_however_long(refused: Refused) -> None:
    error = refused("raise ValueError('a\\nb\\x1b[31m' + 'c' * 100_000)")
    assert error.message.startswith("ValueError: a b�[31mccc")
    assert len(error.message) <= 500
    assert len(error.traceback or "") in range(1, 2001)
    assert "\n" not in error.message


def test_a_traceback_steers_no_terminal_and_can_be_sent(refused: Refused) -> None:
    error = refused("raise ValueError('\\x1b]0;mine\\x07\\u202e\\ud800')")
    assert (error.traceback or "").endswith("ValueError: �]0;mine���")
    assert "\n" in (error.traceback or "")
    msgspec.msgpack.encode(error.failure())


RUNS_CIRCUITS = {
    "another provider": "import qiskit_ibm_runtime",
    "Aer of old": "from qiskit import Aer",
    "execute of old": "from qiskit import QuantumCircuit, execute",
    "a primitive of old": "from qiskit.primitives import Sampler",
}


@pytest.mark.parametrize("script", RUNS_CIRCUITS)
def test_a_script_that_runs_its_circuits_is_told_who_does_so(refused: Refused, script: str) -> None:
    error = refused(RUNS_CIRCUITS[script])
    assert (error.reason, error.line) == (Reason.USER_CODE_ERROR, 2)
    assert error.message.endswith("leave out Aer, backends and run()")


def test_a_hint_stays_whole_behind_a_long_message(refused: Refused) -> None:
    error = refused("raise PermissionError(1, 'x' * 10_000)")
    assert len(error.message) == 500
    assert error.message.endswith("but those of its scratch folder")


def test_an_error_of_the_codes_own_gets_no_hint(refused: Refused) -> None:
    assert refused("raise PermissionError('mine')").message == "PermissionError: mine (line 2)"


def test_running_out_of_memory_is_not_blamed_on_the_code(python: Python) -> None:
    with pytest.raises(MemoryError):
        python("raise MemoryError")


def test_openqasm_given_as_python_gets_a_hint() -> None:
    with pytest.raises(Exception, match=r"looks like qasm2: set spec\.circuit\.format to qasm2"):
        load(b"OPENQASM 2.0;", Format.PYTHON)
