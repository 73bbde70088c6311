"""What the simulator does not run is refused by its name, before anything is run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from messages.failure import ExecutorReason as Reason
from tests.circuits.conftest import Python, Refused

IMPORTS = """from qiskit.circuit import ClassicalRegister, Duration
from qiskit.circuit.classical import expr, types
from qiskit.circuit.library import WeightedSumGate
qc = QuantumCircuit(4, 2)
"""

UNSUPPORTED = {
    "a variable (add_var)": "qc.add_var('v', False)",
    "a stretch (add_stretch)": "qc.delay(qc.add_stretch('s'), 0)",
    "a box": "with qc.if_test((qc.clbits[0], 0)):\n    with qc.box():\n        qc.x(0)",
    "a switch on an expression": (
        "with qc.switch(expr.bit_and(qc.cregs[0], 1)) as case:\n    with case(1):\n        qc.x(0)"
    ),
    "an expression with arithmetic or a shift": (
        "with qc.while_loop(expr.less(expr.add(qc.cregs[0], 1), 2)):\n    qc.break_loop()"
    ),
    "an expression with an index": "qc.store(qc.clbits[1], expr.logic_not(expr.index(qc.cregs[0], 0)))",
    "an expression with a number that is not whole": "with qc.if_test(expr.less(1.5, 2.5)):\n    qc.x(0)",
    "an expression with a number of more than 32 bits": (
        "qc.add_register(ClassicalRegister(33))\nwith qc.if_test(expr.less(qc.cregs[1], 2)):\n    qc.x(0)"
    ),
    "a for loop over a set with the same number twice": "with qc.for_loop((1, 2, 1)) as i:\n    qc.rx(i, 0)",
    "a delay by an expression": "qc.delay(expr.add(Duration.us(1), Duration.us(2)), 0)",
    "a WeightedSumGate": "qc.append(WeightedSumGate(2), range(4))",
}


@pytest.mark.parametrize("what", UNSUPPORTED)
def test_what_the_simulator_does_not_run_is_refused_by_its_name(refused: Refused, what: str) -> None:
    error = refused(f"{IMPORTS}{UNSUPPORTED[what]}\nqc.measure(0, 0)")
    assert error.reason is Reason.CIRCUIT_INVALID
    assert error.message == f"circuit qc has {what}, which the simulator does not support"


def test_the_manual_lists_what_the_simulator_does_not_run() -> None:
    manual = (Path(__file__).parents[2] / "docs" / "limits.md").read_text()
    section = manual.partition("## Circuits that the simulator does not run")[2].partition("\n## ")[0]
    assert re.findall(r"^- (.*)$", section, re.MULTILINE) == list(UNSUPPORTED)


@pytest.mark.parametrize(
    "use",
    [
        "qc.store(qc.clbits[0], expr.equal(qc.cregs[1], 2))",
        "with qc.if_test(expr.logic_not(qc.cregs[1])):\n    qc.x(0)",
        "with qc.while_loop(expr.equal(expr.bit_not(qc.cregs[1]), 0)):\n    qc.break_loop()",
        "with qc.switch(expr.lift(qc.cregs[1])) as case:\n    with case(2):\n        qc.x(0)",
    ],
)
def test_wide_registers_are_no_part_of_expressions(refused: Refused, use: str) -> None:
    code = f"{IMPORTS}qc.add_register(ClassicalRegister(33))\n{use}\nqc.measure(0, 0)"
    assert "has an expression with a number of more than 32 bits" in refused(code).message


@pytest.mark.parametrize(
    "use",
    [
        "with qc.if_test(expr.less(qc.cregs[0], 2)):\n    qc.x(0)",
        "with qc.if_test(expr.equal(expr.bit_xor(qc.cregs[0], 1), expr.bit_not(qc.cregs[0]))):\n    qc.x(0)",
        "qc.add_register(ClassicalRegister(32))\nwith qc.if_test(expr.less(qc.cregs[1], 2)):\n    qc.x(0)",
        "qc.add_register(ClassicalRegister(70))\nwith qc.if_test((qc.cregs[1], 2)):\n    qc.x(0)",
        "with qc.switch(qc.cregs[0]) as case:\n    with case(1):\n        qc.x(0)",
        "with qc.for_loop((2, 1)) as i:\n    qc.rx(i, 0)",
        "qc.delay(expr.lift(Duration.us(1)), 0)",
    ],
)
def test_what_it_runs_is_not(python: Python, use: str) -> None:
    assert len(python(f"{IMPORTS}{use}\nqc.measure(0, 0)")) == 1
