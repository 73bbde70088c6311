"""What OpenQASM programs do, against matrices written out by hand after the two specifications."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from qiskit.quantum_info import Operator, Statevector

from circuits import CircuitError, load
from messages.failure import ExecutorReason as Reason

Matrix = npt.NDArray[Any]

I2, X = np.eye(2), np.array([[0, 1], [1, 0]])


def u(theta: float, phi: float, lam: float) -> Matrix:
    """U of OpenQASM 3, phase included."""
    a, b = np.exp(1j * theta), 1j * (1 - np.exp(1j * theta))
    matrix = [[1 + a, -b * np.exp(1j * lam)], [b * np.exp(1j * phi), (1 + a) * np.exp(1j * (phi + lam))]]
    return np.array(matrix) / 2


def ry(theta: float) -> Matrix:
    matrix: Matrix = np.exp(-0.5j * theta) * u(theta, 0, 0)
    return matrix


def rz(theta: float) -> Matrix:
    return np.diag(np.exp([-0.5j * theta, 0.5j * theta]))


def controlled(matrix: Matrix) -> Matrix:
    """With the control on the qubit that is named first, the less significant one."""
    return np.kron(I2, np.diag([1, 0])) + np.kron(matrix, np.diag([0, 1]))


def program(body: str) -> bytes:
    return f'OPENQASM 3.0; include "stdgates.inc"; {body}'.encode()


def loaded(source: bytes, **values: float) -> Operator:
    (built,) = load(source, parameters=[values] if values else ())
    circuit = built.circuit
    circuit.remove_final_measurements()
    return Operator(circuit)


@pytest.mark.parametrize(
    ("body", "exact"),
    [
        ("gate g(b, a) q { ry(b) q; rz(a) q; } qubit q; g(1, 2) q;", rz(2) @ ry(1)),
        (
            "gate g(theta, phi, lam) q { rz(lam) q; ry(theta) q; rz(phi) q; } qubit q; g(1, 2, 3) q;",
            rz(2) @ ry(1) @ rz(3),
        ),
        ("gate g(a9, a10) q { ry(a9) q; rz(a10) q; } qubit q; g(1, 2) q;", rz(2) @ ry(1)),
        ("gate g(b, a) q { ry(b) q; } qubit q; g(1, 2) q;", ry(1)),
        (
            "gate f(y, x) q { ry(y) q; rz(x) q; } gate g(d, c) q { f(c, d) q; } qubit q; g(1, 2) q;",
            rz(1) @ ry(2),
        ),
    ],
)
def test_a_gate_gets_its_values_in_the_order_in_which_it_names_them(body: str, exact: Matrix) -> None:
    assert loaded(program(f"{body} bit c; c = measure q;")).equiv(Operator(exact))


@pytest.mark.parametrize(
    ("applied", "exact"),
    [
        ("ctrl @ U(1, 2, 3)", controlled(u(1, 2, 3))),
        ("ctrl @ U(2*pi, 0, 0)", np.eye(4)),
        ("ctrl @ inv @ U(1, 2, 3)", controlled(u(1, 2, 3).conj().T)),
        ("ctrl @ pow(2) @ U(1, 2, 3)", controlled(u(1, 2, 3) @ u(1, 2, 3))),
        ("ctrl @ flip", controlled(X)),
        ("ctrl @ turn(1)", controlled(u(1, 0.5, 1))),
        ("ctrl @ u3(1, 2, 3)", controlled(np.exp(-3j) * u(1, 2, 3))),
        ("ctrl @ u2(2, 3)", controlled(np.exp(-0.25j * (10 + math.pi)) * u(math.pi / 2, 2, 3))),
        ("ctrl @ u1(1)", controlled(u(0, 0, 1))),
        ("cu(1, 2, 3, 0.5)", controlled(np.exp(0.5j - 0.5j) * u(1, 2, 3))),
    ],
)
def test_a_control_sees_the_phase_that_the_specification_gives_a_gate(applied: str, exact: Matrix) -> None:
    """`flip` is how the specification itself defines x."""
    gates = "gate flip q { U(pi, 0, pi) q; gphase(-pi/2); } gate turn(t) q { U(t, t/2, t) q; } "
    source = program(f"{gates} qubit[2] q; bit[2] c; {applied} q[0], q[1]; c = measure q;")
    assert loaded(source).equiv(Operator(exact))


def test_the_phase_of_a_gate_may_depend_on_an_input() -> None:
    source = program("input float a; qubit[2] q; bit[2] c; ctrl @ U(a, a, 0) q[0], q[1]; c = measure q;")
    assert loaded(source, a=0.7).equiv(Operator(controlled(u(0.7, 0.7, 0))))


@pytest.mark.parametrize(
    ("chosen", "outcome"),
    [
        ("0:-1", "1111"),
        ("-2:-1", "1100"),
        ("1:2", "0110"),
        ("3:-1:0", "1111"),
        ("3:-2:0", "1010"),
        ("-1:-2:1", "1010"),
        ("0:2:-1", "0101"),
        (":-2", "0111"),
        ("2:", "1100"),
        ("{0, -1}", "1001"),
        ("2:1", "0000"),
    ],
)
def test_a_range_of_a_register_includes_both_ends(chosen: str, outcome: str) -> None:
    source = program(f"qubit[4] q; bit[4] c; x q[{chosen}]; c = measure q;")
    (state,) = Statevector(loaded(source).data[:, 0]).probabilities_dict(decimals=9)
    assert state == outcome


@pytest.mark.parametrize("chosen", ["1:4", "-5:2", "4:-1:0"])
@pytest.mark.parametrize("use", ["x q[{}];", "let a = q[{}];", "if (c[{}] == 1) x q[0];"])
def test_a_range_beyond_its_register_is_refused(use: str, chosen: str) -> None:
    with pytest.raises(CircuitError, match=r"line 1: index -?\d is out of range for size 4") as caught:
        load(program(f"qubit[4] q; bit[4] c; {use.format(chosen)} c = measure q;"))
    assert caught.value.reason is Reason.CIRCUIT_SYNTAX_ERROR


def test_a_condition_may_be_on_a_range_that_ends_at_the_last_bit() -> None:
    source = program("qubit[3] q; bit[3] c; c = measure q; if (c[1:-1] == 2) x q[0]; c = measure q;")
    (built,) = load(source)
    (condition,) = (one.operation.condition for one in built.circuit.data if one.operation.name == "if_else")
    assert [built.circuit.find_bit(bit).index for bit in condition[0]] == [1, 2]


@pytest.mark.parametrize("power", ["1/2", "0.5", "2/4"])
def test_the_square_root_of_a_gate_is_written_as_the_specification_does(power: str) -> None:
    root = np.array([[1 + 1j, 1 - 1j], [1 - 1j, 1 + 1j]]) / 2
    source = program(f"qubit q; bit c; pow({power}) @ x q; c = measure q;")
    assert loaded(source).equiv(Operator(root))


@pytest.mark.parametrize(
    "body",
    ["ry(1/2) q;", "ry(-7/2*pi) q;", "for int i in [1:3] { ry(i/2) q; }"],
    ids=["half", "minus", "loop"],
)
def test_a_quotient_that_would_be_rounded_is_refused(body: str) -> None:
    with pytest.raises(
        CircuitError, match=r"line 1: .* is rounded in OpenQASM 3; write one of them as a float"
    ):
        load(program(f"qubit q; bit c; {body} c = measure q;"))


def test_other_quotients_are_what_they_seem() -> None:
    source = program("qubit q; bit c; ry(pi/2/2 + 4/2 + 1.0/2 - 3*pi/4) q; c = measure q;")
    assert loaded(source).equiv(Operator(ry(2.5 - math.pi / 2)))
    nested = "/".join(["pi", *["1.0"] * 60])
    assert loaded(program(f"qubit q; bit c; ry({nested}) q; c = measure q;")).equiv(Operator(ry(math.pi)))


@pytest.mark.parametrize(
    ("gates", "outcome"),
    [
        ("gate x a { U(0,0,0) a; }  x q[0];", "00"),
        ("gate cx a,b { CX b,a; }  U(pi,0,pi) q[0]; cx q[0],q[1];", "01"),
        ("gate u2(b,a) q { U(pi,b,a) q; }  u2(0,pi) q[1];", "10"),
        ("gate cswap a,b { CX a,b; }  U(pi,0,pi) q[0]; cswap q[0],q[1];", "11"),
        ("// gate x a { }\ngate y a { U(0,0,0) a; }  y q[0]; U(pi,0,pi) q[1];", "10"),
    ],
)
def test_openqasm_2_without_an_include_has_the_gates_that_it_defines(gates: str, outcome: str) -> None:
    gates = gates.replace("  ", " qreg q[2]; creg c[2]; ", 1)
    source = f"OPENQASM 2.0; {gates} measure q -> c;".encode()
    (state,) = Statevector(loaded(source).data[:, 0]).probabilities_dict(decimals=9)
    assert state == outcome
