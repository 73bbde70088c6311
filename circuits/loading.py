"""From the bytes of a source to circuits that can be run.

    content ──▶ format ──▶ Python: run the module, find or call the entry point ──┐
                       ├─▶ OpenQASM 2 and 3: parse                                ├─▶ bind ──▶ check
                       └─▶ QPY: read ─────────────────────────────────────────────┘

`load` executes user code where the format is Python: call it in a sandboxed child.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from circuits import entrypoint as entry
from circuits.binding import bind
from circuits.built import BuiltCircuit
from circuits.errors import CircuitError
from circuits.formats import detect_format, is_notebook
from circuits.frozen import load_qpy
from circuits.qasm import load_qasm
from circuits.unsupported import unsupported
from circuits.user_module import run_source, user_error
from circuits.walk import measures, no_number
from circuits.wording import called
from messages.circuit import CIRCUITS_LIMIT, Format
from messages.failure import ExecutorReason

_MEASUREMENT = {
    Format.PYTHON: "measure_all()",
    Format.QASM2: "a register of bits and `measure q -> c;`",
    Format.QASM3: "a register of bits and `c = measure q;`",
    Format.QPY: "measure_all() to the program that writes it",
}


def load(
    content: bytes,
    format: Format | None = None,  # noqa: A002 - the name of the field
    entrypoint: str | None = None,
    parameters: Sequence[Mapping[str, float]] = (),
    *,
    noise: bool = False,
) -> list[BuiltCircuit]:
    """Build the circuits of a source: at least one, each measured, with no parameter left open.

    With several bindings in `parameters`, all circuits of the first come first, then those of the second. `noise`
    says that a device's noise will be simulated: then delays must have kept their units.

    Raises:
        CircuitError: for every fault of the source, with a reason and a line for its author.
        MemoryError: if building took more memory than there is; says nothing of the source.
    """
    try:
        language = format or detect_format(content)
        return _load(content, language, entrypoint, list(parameters) or [{}], noise)
    except (CircuitError, MemoryError):
        raise
    except RecursionError:
        raise CircuitError(ExecutorReason.CIRCUIT_INVALID, "the circuit is nested too deeply") from None
    except BaseException as error:  # noqa: BLE001 - definitions and conditions may be methods of the user's
        raise user_error(error) from None


def _load(
    content: bytes,
    language: Format,
    entrypoint: str | None,
    bindings: Sequence[Mapping[str, float]],
    noise: bool,
) -> list[BuiltCircuit]:
    built = _build(content, language, entrypoint, bindings, noise)
    if len(built) > CIRCUITS_LIMIT:
        raise CircuitError(
            ExecutorReason.CIRCUIT_INVALID,
            f"{len(built)} circuits are more than one job may have ({CIRCUITS_LIMIT}); use several jobs",
        )
    for one in built:
        _check(one, language)
    return built


def _build(
    content: bytes,
    language: Format,
    entrypoint: str | None,
    bindings: Sequence[Mapping[str, float]],
    noise: bool,
) -> list[BuiltCircuit]:
    if is_notebook(content):
        raise CircuitError(
            ExecutorReason.CIRCUIT_SYNTAX_ERROR,
            "the source is a Jupyter notebook and not a program; export it as a script "
            "(jupyter nbconvert --to script) and give that",
        )
    if language is Format.PYTHON:
        module = run_source(content)
        found = entry.find(module, content, entrypoint)
        if not isinstance(found, list):
            built = []
            for binding in bindings:
                circuits, taken = entry.call(found, binding)
                if len(bindings) > 1:  # it may give the same circuit again, changed
                    circuits = [replace(one, circuit=one.circuit.copy()) for one in circuits]
                built += bind(circuits, binding, {*taken, *entry.parameter_names(found)})
            return built
    elif language is Format.QPY:
        found = load_qpy(content, entrypoint, noise=noise)
    else:
        if entrypoint is not None:
            raise CircuitError(
                ExecutorReason.INVALID_SPEC,
                f"spec.circuit.entrypoint has no meaning for {language}: it names a variable or function "
                "of Python, or a circuit of QPY",
            )
        found = load_qasm(content, language)
    return [one for binding in bindings for one in bind(found, binding)]


def _check(built: BuiltCircuit, language: Format) -> None:
    if built.circuit.num_input_vars:
        names = ", ".join(sorted(var.name for var in built.circuit.iter_input_vars()))
        raise CircuitError(
            ExecutorReason.CIRCUIT_INVALID,
            f"{called(built.name)} expects run-time inputs ({names}), which cannot be given; "
            "use Parameter instead",
        )
    foreign = unsupported(built.circuit)
    if foreign is not None:
        raise CircuitError(
            ExecutorReason.CIRCUIT_INVALID,
            f"{called(built.name)} has {foreign}, which the simulator does not support",
        )
    odd = no_number(built.circuit)
    if odd is not None:
        raise CircuitError(
            ExecutorReason.CIRCUIT_INVALID,
            f"{called(built.name)} has a gate {odd[0]} with the parameter {odd[1]}, expected a finite number",
        )
    if not measures(built.circuit):
        raise CircuitError(
            ExecutorReason.NO_MEASUREMENT,
            f"{called(built.name)} measures no qubit into a classical bit, so it would have no counts; "
            f"add {_MEASUREMENT[language]}",
        )
