"""Which circuits of a program are run."""

import pytest

from circuits import BuiltCircuit
from messages.failure import ExecutorReason as Reason
from tests.circuits.conftest import Python, Refused


def bind(name: str, width: int) -> str:
    return f"{name} = QuantumCircuit({width}, {width}); {name}.measure(0, 0)\n"


def widths(built: list[BuiltCircuit]) -> list[int]:
    return [one.circuit.num_qubits for one in built]


@pytest.mark.parametrize(
    ("program", "width"),
    [
        (bind("qc", 1) + bind("circuit", 2), 1),
        (bind("circuit", 2) + bind("zz", 3), 2),
        (bind("zz", 3) + bind("aa", 4), 4),
        (bind("aa", 4) + bind("zz", 3) + bind("aa", 5), 5),
        (bind("zz", 3) + "def later():\n    local = QuantumCircuit(9)\n", 3),
        ("if True:\n  " + bind("zz", 3) + "other = 7\n", 3),
    ],
    ids=["qc", "circuit", "the last", "the last binding", "not in functions", "in a block"],
)
def test_without_an_entry_point_the_usual_names_come_first_then_the_last_bound(
    python: Python, program: str, width: int
) -> None:
    assert widths(python(program)) == [width]


def test_a_text_too_deep_for_ast_goes_by_the_order_of_first_bindings(
    python: Python, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How deep that is depends on Python's release, and lies just below what the compiler takes."""

    def parse(_: object) -> object:
        raise RecursionError

    program = bind("zz", 3) + bind("aa", 4)
    monkeypatch.setattr("circuits.entrypoint.ast.parse", parse)
    assert widths(python(program)) == [4]


def test_an_entry_point_names_a_variable(python: Python) -> None:
    assert widths(python(bind("qc", 1) + bind("other", 2), "other")) == [2]


def test_a_list_is_several_circuits_in_its_order(python: Python) -> None:
    built = python(
        """
        def one(n, name=None):
            qc = QuantumCircuit(n, n, name=name)
            qc.measure(0, 0)
            return qc
        circuits = [one(3), one(1, "bell"), one(2)]
        """
    )
    assert widths(built) == [3, 1, 2]
    assert [one.name for one in built] == ["circuits[0]", "bell", "circuits[2]"]


def test_a_function_is_called_with_the_parameters_that_it_takes(python: Python) -> None:
    built = python(
        """
        def build(n, label="", *, turns: float = 1.0):
            assert isinstance(turns, float)
            qc = QuantumCircuit(n, n)
            for i in range(n):
                qc.rx(turns, i)
            qc.measure(0, 0)
            return qc
        """,
        "build",
        [{"n": 2.0}, {"n": 3.0, "turns": 2.0}],
    )
    assert widths(built) == [2, 3]
    assert [one.circuit.data[0].params for one in built] == [[1.0], [2.0]]
    assert built[1].parameters == {"n": 3.0, "turns": 2.0}
    assert built[1].name == "build"


def test_a_function_called_circuit_is_an_entry_point(python: Python) -> None:
    built = python("def circuit():\n  qc = QuantumCircuit(2, 2)\n  qc.measure(0, 0)\n  return qc")
    assert widths(built) == [2]


def test_a_function_that_lacks_a_value_says_which(refused: Refused) -> None:
    error = refused("def build(n, m, k=1): pass", "build", [{"n": 1}])
    assert error.reason is Reason.CIRCUIT_INVALID
    assert "build needs a value for m" in error.message
    assert "parameters of the function: n, m, k" in error.message


def test_an_error_inside_a_function_entry_point_has_its_line(refused: Refused) -> None:
    error = refused("def build():\n    return 1 / 0", "build")
    assert (error.reason, error.line) == (Reason.USER_CODE_ERROR, 3)


@pytest.mark.parametrize(
    ("program", "entrypoint", "said"),
    [
        (
            "x = 1\nrows = []\ndef build(): pass",
            None,
            "binds x (int), rows (list); it defines build(), which spec",
        ),
        ("x = 1", None, "the code binds no circuit: it binds x (int); assign the circuit to qc"),
        ("import math", None, "binds nothing at module level; assign the circuit to qc"),
        (
            bind("bell", 1),
            "belle",
            "entry point belle is not defined by the code: it binds bell (QuantumCircuit)",
        ),
        ("x = 1", "x", "entry point x is of type int, expected a QuantumCircuit"),
        ("x = [1, 'a']", "x", "entry point x is a list of int, str"),
        ("def f(): pass", "f", "function f returned None"),
        ("def f(): return []", "f", "function f returned an empty list"),
    ],
)
def test_no_circuit_says_what_there_is_instead(
    refused: Refused, program: str, entrypoint: str | None, said: str
) -> None:
    error = refused(program, entrypoint)
    assert error.reason is Reason.NO_CIRCUIT
    assert said in error.message.replace("QuantumCircuit (type), ", "").replace("Parameter (type), ", "")


def test_a_circuit_without_a_measurement_is_refused_with_the_remedy(refused: Refused) -> None:
    error = refused("qc = QuantumCircuit(1)\nqc.h(0)")
    assert error.reason is Reason.NO_MEASUREMENT
    assert "add measure_all()" in error.message


@pytest.mark.parametrize(
    "program",
    [
        """
        qc = QuantumCircuit(1, 1)
        with qc.if_test((qc.clbits[0], 0)):
            qc.measure(0, 0)
        """,
        """
        inner = QuantumCircuit(1, 1)
        inner.measure(0, 0)
        qc = QuantumCircuit(1, 1)
        qc.append(inner.to_instruction(), [0], [0])
        """,
    ],
    ids=["in a branch", "in a composite"],
)
def test_a_measurement_counts_wherever_it_is(python: Python, program: str) -> None:
    assert widths(python(program)) == [1]
