"""Circuits as QPY bytes: how users hand them in, and how a built circuit passes to the step that runs it."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import replace

from qiskit import QuantumCircuit, qpy
from qiskit.exceptions import QiskitError
from qiskit.qpy.common import QPY_VERSION

from circuits.built import BuiltCircuit, name_of
from circuits.composites import portable, rebuilt
from circuits.delays import as_a_number
from circuits.errors import CircuitError, is_fault
from circuits.formats import format_hint
from circuits.walk import waits_by_number
from circuits.wording import called
from messages.circuit import Format
from messages.failure import ExecutorReason

_MAGIC = b"QISKIT"
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def freeze(circuits: Sequence[QuantumCircuit]) -> bytes:
    """The circuits as QPY of the newest version.

    Raises:
        CircuitError: CircuitInvalid if one of them cannot be written (an instruction that QPY does not know).
    """
    target = io.BytesIO()
    try:
        qpy.dump([portable(circuit) for circuit in circuits], target)
    except BaseException as error:
        if not is_fault(error):
            raise
        raise CircuitError(
            ExecutorReason.CIRCUIT_INVALID, f"the circuit cannot be stored as QPY: {_message(error)}"
        ) from None
    return target.getvalue()


def thaw(content: bytes) -> list[QuantumCircuit]:
    """What `freeze` has written. Other versions of QPY are refused, however well-formed.

    Raises:
        CircuitError: CircuitInvalid if the bytes are anything else.
    """
    if content[6:7] != bytes([QPY_VERSION]):
        raise CircuitError(
            ExecutorReason.CIRCUIT_INVALID, "the built circuits are not in the form they were frozen in"
        )
    return [rebuilt(circuit, as_a_number) for circuit in _read(content)]


def load_qpy(content: bytes, entrypoint: str | None, *, noise: bool = False) -> list[BuiltCircuit]:
    """The circuits of a QPY file that a user gave: all of them, or the one named `entrypoint`.

    Raises:
        CircuitError: CircuitInvalid for unreadable bytes, or if the counts depend on the units of delays, as they do
            with `noise`, and QPY has not kept them; NoCircuit if there is no such circuit.
    """
    if not content.startswith(_MAGIC):
        raise CircuitError(
            ExecutorReason.CIRCUIT_INVALID,
            "the source is no QPY, which qiskit.qpy.dump() writes: it does not begin with QISKIT",
            hint=format_hint(content, Format.QPY) or "correct spec.circuit.format, or leave it out",
        )
    circuits = _read(content)
    found = [BuiltCircuit(name_of(c, f"circuits[{index}]"), c) for index, c in enumerate(circuits)]
    chosen = [built for built in found if entrypoint in (None, built.circuit.name)]
    if entrypoint is not None and not chosen:
        names = ", ".join(built.name for built in found[:12])
        raise CircuitError(
            ExecutorReason.NO_CIRCUIT, f"the QPY file has no circuit named {entrypoint}; it has {names}"
        )
    for built in chosen:
        if noise and waits_by_number(built.circuit):
            raise CircuitError(
                ExecutorReason.CIRCUIT_INVALID,
                f"{called(built.name)} has a delay of which QPY has kept the number and not the unit, so the noise "
                "model cannot tell how long a qubit decays; write delays as expr.lift(Duration.us(100)), those in dt "
                "too, or give the program itself in spec.circuit",
            )
    return [replace(built, circuit=rebuilt(built.circuit, as_a_number)) for built in chosen]


def _read(content: bytes) -> list[QuantumCircuit]:
    try:
        circuits: list[QuantumCircuit] = qpy.load(io.BytesIO(content))
    except BaseException as error:
        if not is_fault(error):
            raise
        raise CircuitError(
            ExecutorReason.CIRCUIT_INVALID, f"the QPY cannot be read: {_message(error)}"
        ) from None
    if not all(isinstance(circuit, QuantumCircuit) for circuit in circuits):
        raise CircuitError(
            ExecutorReason.CIRCUIT_INVALID, "the QPY holds pulse schedules, which cannot be simulated"
        )
    return circuits


def _message(error: BaseException) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    text = error.message if isinstance(error, QiskitError) else str(error)
    # The Rust reader sends a drawn backtrace in colours; the first line that says something is the cause.
    lines = [line.strip() for line in _COLOURS.sub("", str(text)).splitlines() if line.strip()]
    causes = [line for line in lines if any(c.isalpha() for c in line) and "Backtrace" not in line]
    return " ".join(causes[:2]) or type(error).__name__
