"""What an exception says about the user's own text: where it arose, and through which of their lines."""

from __future__ import annotations

import traceback
from types import TracebackType

from qiskit.exceptions import MissingOptionalLibraryError, QiskitError

from circuits.errors import MESSAGE_LIMIT

FILE_NAME = "circuit.py"
"""The name under which user code is compiled; a frame of any other file is not the user's."""

_FRAMES = 8
"""How many of the innermost frames are shown: a deep recursion would fill the status otherwise."""

_TRACEBACK_LIMIT = 2000
"""Characters of a traceback, so that it fits into a termination message together with the rest."""


def user_line(error: BaseException) -> int | None:
    """The line of the user's text in which `error` arose, `None` if it passed through none."""
    frames = _frames(error.__traceback__)
    return frames[-1].lineno if frames else None


def user_traceback(error: BaseException) -> str | None:
    """The tail of the traceback with the user's frames only, `None` if there are none."""
    frames = _frames(error.__traceback__)
    if not frames:
        return None
    shown = traceback.StackSummary.from_list(frames[-_FRAMES:])
    lines = ["Traceback (most recent call last):\n", *shown.format(), describe_exception(error)]
    text = "".join(lines)
    return text if len(text) <= _TRACEBACK_LIMIT else "…" + text[-_TRACEBACK_LIMIT + 1 :]


def describe_exception(error: BaseException) -> str:
    """`TypeName: message`, whatever the exception's own `__str__` does."""
    name = type(error).__name__
    try:
        text = str(error.message if isinstance(error, QiskitError) else error)
    except BaseException:  # noqa: BLE001 - hostile: a __str__ of the user's that raises or exits
        return name
    if isinstance(error, MissingOptionalLibraryError):
        text = text.partition(". You can install it with ")[0]  # nobody can, in here
    return f"{name}: {text[:MESSAGE_LIMIT]}" if text else name


def _frames(trace: TracebackType | None) -> list[traceback.FrameSummary]:
    return [frame for frame in traceback.extract_tb(trace) if frame.filename == FILE_NAME]
