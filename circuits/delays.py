"""Delays on their way through QPY, which keeps their numbers, forgets the units, and reads all of them as dt."""

from __future__ import annotations

from qiskit.circuit import Delay, Duration, Operation
from qiskit.circuit.classical import expr


def with_its_unit(operation: Operation) -> Operation:
    """A delay as a constant expression, which QPY keeps whole; any other operation as it is."""
    if isinstance(operation, Delay) and operation.unit == "dt" and isinstance(operation.duration, int):
        in_dt: Operation = Delay(expr.lift(Duration.dt(operation.duration)))
        return in_dt
    if not isinstance(operation, Delay) or operation.unit not in ("ps", "ns", "us", "ms", "s"):
        return operation
    made: Operation = Delay(expr.lift(getattr(Duration, operation.unit)(float(operation.duration))))
    return made


def as_a_number(operation: Operation) -> Operation:
    """A delay for as long as a constant expression says, in numbers: what Aer takes wherever it stands."""
    if not isinstance(operation, Delay) or not isinstance(operation.duration, expr.Value):
        return operation
    duration: Duration = operation.duration.value
    made: Operation = Delay(duration.value(), duration.unit())
    return made
