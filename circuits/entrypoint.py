"""Which circuits of a Python program are meant, and the call of a function that builds them."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, TypeGuard

from circuits.built import BuiltCircuit, as_circuits
from circuits.errors import CircuitError
from circuits.hints import naming_hint
from circuits.user_module import call_user
from circuits.user_traceback import FILE_NAME
from messages.failure import ExecutorReason

USUAL_NAMES = ("qc", "circuit", "circuits")
"""Where circuits are looked for first if no entry point is named."""

_LISTED = 12
"""How many names a message lists at most."""

_OTHER_SCOPES = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Lambda,
    ast.ListComp,
    ast.SetComp,
    ast.DictComp,
    ast.GeneratorExp,
)

Builder = Callable[..., object]


def find(module: ModuleType, content: bytes, entrypoint: str | None) -> list[BuiltCircuit] | Builder:
    """The circuits that the program has bound, or the function that builds them.

    Raises:
        CircuitError: NoCircuit, with what the program has bound instead.
    """
    bound = vars(module)
    if entrypoint is not None:
        return _named(bound, entrypoint)
    for name in USUAL_NAMES:
        value = bound.get(name)
        found = as_circuits(value, name)
        if found is not None:
            return found
        if _is_builder(value):
            return value
    for name in _last_bound_first(bound, content):
        found = as_circuits(bound[name], name)
        if found is not None:
            return found
    remedy = "" if any(map(_is_builder, bound.values())) else "; assign the circuit to qc"
    raise CircuitError(ExecutorReason.NO_CIRCUIT, f"the code binds no circuit: {_inventory(bound)}{remedy}")


def call(builder: Builder, given: Mapping[str, float]) -> tuple[list[BuiltCircuit], set[str]]:
    """Call a function entry point with those of `given` that it takes, and return the circuits and
    those names.

    A whole number is passed as int (JSON knows one kind of number, `range` does not), unless the
    annotation is float.

    Raises:
        CircuitError: if a required parameter is not given, if the function raises, or returns no circuit.
    """
    name = getattr(builder, "__name__", "entrypoint")
    accepted = _accepted(builder)
    missing = [key for key, p in accepted.items() if p.default is p.empty and key not in given]
    if missing:
        known = ", ".join(accepted)
        raise CircuitError(
            ExecutorReason.CIRCUIT_INVALID,
            f"function {name} needs a value for {', '.join(missing)}; give it in spec.circuit.parameters "
            f"(parameters of the function: {known})",
            hint=naming_hint(given),
        )
    arguments = {key: _number(given[key], p) for key, p in accepted.items() if key in given}
    value = call_user(builder, **arguments)
    circuits = as_circuits(value, name)
    if circuits is None:
        raise CircuitError(
            ExecutorReason.NO_CIRCUIT,
            f"function {name} returned {_kind(value)}, expected a QuantumCircuit or a list",
        )
    return circuits, set(arguments)


def parameter_names(builder: Builder) -> list[str]:
    """The parameters that a function entry point can be called with."""
    return list(_accepted(builder))


def _named(bound: Mapping[str, Any], name: str) -> list[BuiltCircuit] | Builder:
    if name not in bound:
        raise CircuitError(
            ExecutorReason.NO_CIRCUIT, f"entry point {name} is not defined by the code: {_inventory(bound)}"
        )
    value = bound[name]
    found = as_circuits(value, name)
    if found is not None:
        return found
    if callable(value):
        return value  # type: ignore[no-any-return]
    raise CircuitError(
        ExecutorReason.NO_CIRCUIT,
        f"entry point {name} is {_kind(value)}, expected a QuantumCircuit, a list of them, or a function",
    )


def _is_builder(value: object) -> TypeGuard[Builder]:
    return inspect.isfunction(value) and value.__code__.co_filename == FILE_NAME


def _accepted(builder: Builder) -> dict[str, inspect.Parameter]:
    try:
        signature = inspect.signature(builder)
    except (TypeError, ValueError):
        return {}
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return {name: p for name, p in signature.parameters.items() if p.kind in by_name}


def _number(value: float, parameter: inspect.Parameter) -> int | float:
    if parameter.annotation in (float, "float") or not float(value).is_integer():
        return float(value)
    return int(value)


def _last_bound_first(bound: Mapping[str, Any], content: bytes) -> list[str]:
    """Names in the order in which the text binds them at module level, the last one first.

    A dictionary would give the order of first assignments: a name that is bound anew keeps its place.
    It has to do for a text that the compiler takes and `ast` finds nested too deeply.
    """
    place: dict[str, tuple[int, int]] = dict.fromkeys(bound, (0, 0))
    try:
        pending: list[ast.AST] = [ast.parse(content)]
    except RecursionError:
        return list(reversed(place))
    while pending:
        node = pending.pop()
        if isinstance(node, _OTHER_SCOPES):
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store) and node.id in place:
            place[node.id] = max(place[node.id], (node.lineno, node.col_offset))
        pending.extend(ast.iter_child_nodes(node))
    return sorted(place, key=lambda name: place[name], reverse=True)


def _inventory(bound: Mapping[str, Any]) -> str:
    """What a program has bound, for somebody who looks for their circuit."""
    own = {
        name: value
        for name, value in bound.items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    functions = [name for name, value in own.items() if _is_builder(value)]
    values = [
        f"{name} ({type(value).__name__})"
        for name, value in own.items()
        if not inspect.isroutine(value) and not inspect.isclass(value)
    ]
    parts = []
    if values:
        parts.append(f"it binds {_list(values)}")
    if functions:
        parts.append(
            f"it defines {_list([f'{name}()' for name in functions])}, which spec.circuit.entrypoint can name"
        )
    if not parts:
        return "it binds nothing at module level"
    return "; ".join(parts)


def _list(names: list[str]) -> str:
    shown = ", ".join(names[:_LISTED])
    return shown if len(names) <= _LISTED else f"{shown} and {len(names) - _LISTED} more"


def _kind(value: object) -> str:
    if isinstance(value, list | tuple):
        kinds = sorted({type(item).__name__ for item in value})
        return (
            f"a {type(value).__name__} of {', '.join(kinds[:_LISTED])}"
            if kinds
            else f"an empty {type(value).__name__}"
        )
    return "None" if value is None else f"of type {type(value).__name__}"
