"""Parameter sweeps: each binding is one run."""

import math

import pytest

from circuits import CircuitError, load
from messages.failure import ExecutorReason as Reason
from tests.circuits.conftest import Python, Refused

ANSATZ = """
a, b = Parameter("a"), Parameter("b")
qc = QuantumCircuit(1, 1)
qc.rx(a, 0)
qc.rz(2 * b, 0)
qc.measure(0, 0)
"""


def test_each_binding_is_one_run_with_its_values(python: Python) -> None:
    built = python(ANSATZ, None, [{"a": 1.0, "b": 2.0}, {"a": 3.0, "b": 4.0}])
    assert [[i.params[0] for i in one.circuit.data[:2]] for one in built] == [[1.0, 4.0], [3.0, 8.0]]
    assert [one.parameters for one in built] == [{"a": 1.0, "b": 2.0}, {"a": 3.0, "b": 4.0}]
    assert not any(one.circuit.parameters for one in built)


def test_several_circuits_are_all_run_for_each_binding(python: Python) -> None:
    built = python(ANSATZ + "circuits = [qc, qc.copy()]\ndel qc", None, [{"a": 1, "b": 2}, {"a": 3, "b": 4}])
    assert [one.parameters["a"] for one in built] == [1, 1, 3, 3]


@pytest.mark.parametrize(
    ("binding", "said"),
    [
        ({"a": 1}, "circuit qc needs a value for b; give it in spec.circuit.parameters, known: a, b"),
        ({}, "circuit qc needs a value for a, b;"),
        ({"a": 1, "b": 2, "c": 3}, "no parameter is named c; correct spec.circuit.parameters, known: a, b"),
        ({"a": math.nan, "b": 2}, "parameter a is nan, expected a finite number"),
    ],
)
def test_wrong_names_are_answered_with_the_known_ones(
    refused: Refused, binding: dict[str, float], said: str
) -> None:
    error = refused(ANSATZ, None, [binding] if binding else [])
    assert error.reason is Reason.CIRCUIT_INVALID
    assert said in error.message


@pytest.mark.parametrize("name", ["n", "y"])
def test_a_name_that_yaml_has_made_a_boolean_of_is_to_be_quoted(refused: Refused, name: str) -> None:
    read = {"n": "false", "y": "true"}[name]
    advice = "; YAML reads an unquoted n, y, on, off, yes or no as a boolean: quote the name"
    circuit = f"qc = QuantumCircuit(1)\nqc.rx(Parameter('{name}'), 0)\nqc.measure_all()"
    error = refused(circuit, None, [{read: 2}])
    assert error.message.startswith(f"no parameter is named {read}; ")
    assert error.message.endswith(advice)
    error = refused(f"def build({name}): pass", "build", [{read: 2}])
    assert error.message.startswith(f"function build needs a value for {name}; ")
    assert error.message.endswith(advice)


def test_parameters_for_a_circuit_that_has_none_are_a_mistake(refused: Refused) -> None:
    error = refused("qc = QuantumCircuit(1, 1)\nqc.measure(0, 0)", None, [{"a": 1}])
    assert (
        "no parameter is named a; correct spec.circuit.parameters, the circuit has no parameters"
        in error.message
    )


def test_elements_of_a_vector_are_bound_by_their_names(python: Python) -> None:
    program = """
    from qiskit.circuit import ParameterVector
    v = ParameterVector("v", 2)
    qc = QuantumCircuit(1, 1)
    qc.rx(v[0], 0)
    qc.rx(v[1], 0)
    qc.measure(0, 0)
    """
    (built,) = python(program, None, [{"v[0]": 1.0, "v[1]": 2.0}])
    assert [i.params[0] for i in built.circuit.data[:2]] == [1.0, 2.0]


def test_a_function_takes_its_own_and_the_circuit_gets_the_rest(python: Python) -> None:
    program = """
    def build(n):
        qc = QuantumCircuit(n, n)
        qc.rx(Parameter("a"), 0)
        qc.measure(0, 0)
        return qc
    """
    (built,) = python(program, "build", [{"n": 2, "a": 0.5}])
    assert built.circuit.num_qubits == 2
    assert built.circuit.data[0].params == [0.5]


def test_an_input_of_openqasm_3_is_a_parameter() -> None:
    source = b'OPENQASM 3.0; include "stdgates.inc"; input float a; qubit q; bit c; rx(a) q; c = measure q;'
    (built,) = load(source, parameters=[{"a": 0.25}])
    assert built.circuit.data[0].params == [0.25]


def test_more_circuits_than_a_job_may_have_are_refused(python: Python) -> None:
    with pytest.raises(CircuitError, match="1001 circuits are more than one job may have"):
        python(ANSATZ, None, [{"a": 1, "b": i} for i in range(1001)])


@pytest.mark.parametrize(
    ("angle", "value", "said"),
    [
        (
            "1 / Parameter('a')",
            0.0,
            "the values of spec.circuit.parameters do not fit circuit qc: ZeroDivisionError",
        ),
        (
            "1j * Parameter('a')",
            1.0,
            "the values of spec.circuit.parameters do not fit circuit qc: CircuitError",
        ),
    ],
)
def test_a_value_that_makes_no_angle_is_named(refused: Refused, angle: str, value: float, said: str) -> None:
    error = refused(f"qc = QuantumCircuit(1, 1)\nqc.rx({angle}, 0)\nqc.measure(0, 0)", None, [{"a": value}])
    assert error.reason is Reason.CIRCUIT_INVALID
    assert error.message.startswith(said)


def test_a_function_may_return_the_same_circuit_again_changed(python: Python) -> None:
    program = """
    qc = QuantumCircuit(1, 1)
    def build(t):
        qc.clear()
        qc.rx(t, 0)
        qc.measure(0, 0)
        return qc
    """
    built = python(program, "build", [{"t": 0.5}, {"t": 1.5}])
    assert [one.circuit.data[0].params[0] for one in built] == [0.5, 1.5]
