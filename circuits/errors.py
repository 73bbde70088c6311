"""Why a source gave no circuit that can be run, in words for the person who wrote it."""

from __future__ import annotations

from messages.failure import ExecutorReason, Failure, printable

MESSAGE_LIMIT = 500
"""Characters of a message: it becomes a status message that people read in a terminal."""


class CircuitError(Exception):
    """The source is at fault. `reason` becomes `status.reason`, and the job is not tried again.

    `message` is one line, which ends with `hint` if there is one; `said` is it without. `line` is
    a line number in the user's own text, `traceback` the tail of the traceback with the user's frames only; both
    are `None` where there is nothing to point at.
    """

    def __init__(
        self,
        reason: ExecutorReason,
        message: str,
        *,
        line: int | None = None,
        traceback: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.reason = reason
        self.said = one_line(message)
        self.message = self.said
        if hint is not None:
            self.message = f"{one_line(message, MESSAGE_LIMIT - len(hint) - 2)}; {hint}"
        self.line = line
        self.traceback = None if traceback is None else printable(traceback)
        super().__init__(self.message)

    def failure(self) -> Failure:
        """The same as a message for the job's status."""
        return Failure(reason=self.reason, message=self.message, line=self.line, traceback=self.traceback)


def one_line(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """Fold `text` into one line of at most `limit` characters that any terminal can show."""
    folded = " ".join(text.split())
    line = printable(folded)
    return line if len(line) <= limit else line[: limit - 1] + "…"


def is_fault(error: BaseException) -> bool:
    """Whether a library has failed at what it was given: by any exception, or by a panic, which Rust's are not.

    Running out of memory says nothing of what was given.
    """
    if isinstance(error, MemoryError):
        return False
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"
