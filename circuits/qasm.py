"""Circuits from OpenQASM text. Neither reader opens files: only the standard includes are known."""

from __future__ import annotations

import contextlib
import io
import re

from qiskit import QuantumCircuit, qasm2
from qiskit.exceptions import QiskitError

from circuits.built import BuiltCircuit, name_of
from circuits.errors import CircuitError, is_fault
from circuits.formats import format_hint
from circuits.user_traceback import describe_exception
from messages.circuit import Format
from messages.failure import ExecutorReason

_PLACE_2 = re.compile(r"<input>:(\d+),\d+: (.*)", re.DOTALL)
_COMMENT = re.compile(r"//[^\n]*")
_OWN_GATE = re.compile(r"\b(?:gate|opaque)\s+([a-zA-Z]\w*)")
_PLACE_3 = re.compile(r"(\d+),\d+: (.*)", re.DOTALL)
_PLACE_ANTLR = re.compile(r"line (\d+):\d+ (.*)")


class _NotParsed(Exception):
    """A syntax error, in the words of the parser."""

    def __init__(self, message: str, line: int | None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


def load_qasm(content: bytes, language: Format) -> list[BuiltCircuit]:
    """The one circuit of an OpenQASM 2 or 3 program.

    Raises:
        CircuitError: CircuitSyntaxError with the line, or CircuitInvalid for bytes that are no text.
    """
    hint = format_hint(content, language)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CircuitError(
            ExecutorReason.CIRCUIT_SYNTAX_ERROR,
            f"the source is not UTF-8 text: {error.reason} at byte {error.start}",
            hint=hint,
        ) from None
    try:
        circuit = _read_2(text) if language is Format.QASM2 else _read_3(text)
    except _NotParsed as error:
        raise CircuitError(
            ExecutorReason.CIRCUIT_SYNTAX_ERROR, error.message, line=error.line, hint=hint
        ) from None
    except BaseException as error:
        if not is_fault(error):
            raise
        nested = isinstance(error, RecursionError)
        said = "it is nested too deeply" if nested else describe_exception(error)
        raise CircuitError(
            ExecutorReason.CIRCUIT_INVALID, f"the program cannot be read: {said}", hint=hint
        ) from None
    return [BuiltCircuit(name_of(circuit, "circuit"), circuit)]


def _read_2(text: str) -> QuantumCircuit:
    try:
        return qasm2.loads(text, include_path=(), custom_instructions=_library(text))
    except QiskitError as error:
        raise _error(_PLACE_2.match(error.message), error.message) from None


def _library(text: str) -> list[qasm2.CustomInstruction]:
    """Qiskit's gates for those of the standard include. The reader would take them for a program's own, too."""
    own = set(_OWN_GATE.findall(_COMMENT.sub("", text)))
    return [one for one in qasm2.LEGACY_CUSTOM_INSTRUCTIONS if one.name not in own]


def _read_3(text: str) -> QuantumCircuit:
    # 0.1 s, which only programs in OpenQASM 3 shall pay
    from openqasm3.parser import QASM3ParsingError
    from qiskit_qasm3_import import ConversionError

    from circuits import qasm3

    printed = io.StringIO()  # where the parser says what is wrong; its exception says nothing
    try:
        with contextlib.redirect_stderr(printed):
            return qasm3.parse(text)
    except ConversionError as error:
        raise _error(_PLACE_3.match(error.message), error.message) from None
    except QASM3ParsingError as error:
        said = printed.getvalue() or _unexpected(error)
        raise _error(_PLACE_ANTLR.search(said), said) from None


def _unexpected(error: Exception) -> str:
    """What the parser stumbled over where it did not say so itself, in the form in which it says such things."""
    cause = error.__cause__.args[0] if error.__cause__ and error.__cause__.args else None
    token = getattr(cause, "offendingToken", None)
    return str(error) if token is None else f"line {token.line}:{token.column} unexpected {token.text}"


def _error(place: re.Match[str] | None, text: str) -> _NotParsed:
    if place is None:
        return _NotParsed(text or "not a valid OpenQASM program", None)
    line = int(place[1])
    return _NotParsed(f"line {line}: {place[2]}", line)
