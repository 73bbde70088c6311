"""Giving values to parameters: each binding of `spec.circuit.parameters` is one run of every circuit."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence

from circuits.built import BuiltCircuit
from circuits.errors import CircuitError, is_fault
from circuits.hints import naming_hint
from circuits.user_traceback import describe_exception
from circuits.wording import called
from messages.failure import ExecutorReason

_LISTED = 12


def bind(
    circuits: Sequence[BuiltCircuit], given: Mapping[str, float], taken: Collection[str] = ()
) -> list[BuiltCircuit]:
    """Every circuit with its parameters replaced by the values in `given`.

    A name that one of several circuits lacks is fine; a name that none of them has, nor a function took
    (`taken`), is a typing error.

    Raises:
        CircuitError: CircuitInvalid for unknown or missing names or a value that is no finite number.
    """
    known = {p.name for built in circuits for p in built.circuit.parameters}
    unknown = sorted(set(given) - known - set(taken))
    if unknown:
        raise CircuitError(
            ExecutorReason.CIRCUIT_INVALID,
            f"no parameter is named {', '.join(unknown[:_LISTED])}; correct spec.circuit.parameters, "
            f"{_known(known | set(taken))}",
            hint=naming_hint(unknown),
        )
    for name, value in given.items():
        if not math.isfinite(value):
            raise CircuitError(
                ExecutorReason.CIRCUIT_INVALID, f"parameter {name} is {value}, expected a finite number"
            )
    return [_bind_one(built, given) for built in circuits]


def _bind_one(built: BuiltCircuit, given: Mapping[str, float]) -> BuiltCircuit:
    names = {parameter.name for parameter in built.circuit.parameters}
    missing = sorted(names - set(given))
    if missing:
        more = f" and {len(missing) - _LISTED} more" if len(missing) > _LISTED else ""
        raise CircuitError(
            ExecutorReason.CIRCUIT_INVALID,
            f"{called(built.name)} needs a value for {', '.join(missing[:_LISTED])}{more}; give it in "
            f"spec.circuit.parameters, {_known(names)}",
        )
    if not names:
        return BuiltCircuit(built.name, built.circuit, dict(given))
    try:
        bound = built.circuit.assign_parameters({name: given[name] for name in names})
    except BaseException as error:
        if not is_fault(error):
            raise
        raise CircuitError(
            ExecutorReason.CIRCUIT_INVALID,
            f"the values of spec.circuit.parameters do not fit {called(built.name)}: {describe_exception(error)}",
        ) from None
    return BuiltCircuit(built.name, bound, dict(given))


def _known(names: Collection[str]) -> str:
    if not names:
        return "the circuit has no parameters"
    shown = ", ".join(sorted(names)[:_LISTED])
    return f"known: {shown}" + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
