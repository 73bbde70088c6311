"""Running Python source as the program that it is: one module, named `__main__`.

Helpers see each other, imports inside functions work, dataclasses and pickle find their module, and code
under `if __name__ == "__main__":` runs. The module stays in `sys.modules` for the rest of the process,
because circuits may call back into it; so this belongs into a process that lives for one source.
"""

from __future__ import annotations

import importlib.util
import linecache
import sys
from types import ModuleType

from qiskit.exceptions import QiskitError

from circuits.errors import CircuitError
from circuits.formats import format_hint
from circuits.hints import hint
from circuits.user_traceback import FILE_NAME, describe_exception, user_line, user_traceback
from messages.circuit import Format
from messages.failure import ExecutorReason


def run_source(content: bytes) -> ModuleType:
    """Execute `content` and return its module.

    Raises:
        CircuitError: if it does not compile, raises, or exits.
    """
    module = ModuleType("__main__")
    module.__file__ = FILE_NAME
    try:
        code = compile(content, FILE_NAME, "exec", dont_inherit=True)
        text = importlib.util.decode_source(content)  # minds what compile lets pass in a first comment
    except (SyntaxError, ValueError) as error:
        raise _syntax_error(error, content) from None
    except RecursionError:
        raise CircuitError(
            ExecutorReason.CIRCUIT_SYNTAX_ERROR,
            "an expression of the program is nested too deeply to be compiled",
        ) from None
    linecache.cache[FILE_NAME] = (len(text), None, text.splitlines(keepends=True), FILE_NAME)
    sys.modules["__main__"] = module
    call_user(exec, code, module.__dict__)
    return module


def call_user(function: object, *arguments: object, **named: object) -> object:
    """Call into the user's code and return what it returns.

    MemoryError passes through: it says something of the limits, not of the code.

    Raises:
        CircuitError: if the code raises or exits.
    """
    assert callable(function)
    try:
        return function(*arguments, **named)
    except MemoryError:
        raise
    except SystemExit as request:
        raise _exited(request) from None
    except BaseException as error:  # noqa: BLE001 - user code may raise anything, KeyboardInterrupt included
        raise user_error(error) from None


def user_error(error: BaseException) -> CircuitError:
    """The report for an exception that left the user's code: a Qiskit error is a fault of the circuit."""
    of_circuit = isinstance(error, QiskitError) and not isinstance(error, ImportError)
    reason = ExecutorReason.CIRCUIT_INVALID if of_circuit else ExecutorReason.USER_CODE_ERROR
    line = user_line(error)
    where = "" if line is None else f" (line {line})"
    return CircuitError(
        reason,
        describe_exception(error) + where,
        line=line,
        traceback=user_traceback(error),
        hint=hint(error),
    )


def _exited(request: SystemExit) -> CircuitError:
    line = user_line(request)
    where = "" if line is None else f" in line {line}"
    code = request.code if request.code is None or isinstance(request.code, int) else str(request.code)
    return CircuitError(
        ExecutorReason.USER_CODE_EXITED,
        f"the code called sys.exit({'' if code is None else repr(code)}){where}; remove the call so that "
        "its circuits can be run",
        line=line,
        traceback=user_traceback(request),
    )


def _syntax_error(error: SyntaxError | ValueError, content: bytes) -> CircuitError:
    line = (error.lineno or None) if isinstance(error, SyntaxError) else None  # line 0 is nowhere
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    message = f"line {line}: {text}" if line else text
    tail = None
    if isinstance(error, SyntaxError) and error.text and line:
        place = f'  File "{FILE_NAME}", line {line}\n    {error.text.strip()[:200]}'
        tail = f"{place}\n{type(error).__name__}: {text}"
    return CircuitError(
        ExecutorReason.CIRCUIT_SYNTAX_ERROR,
        message,
        line=line,
        traceback=tail,
        hint=format_hint(content, Format.PYTHON),
    )
