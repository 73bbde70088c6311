"""What the end of a child means for the attempt.

The kernel's account of the end comes first; what the child said of itself counts only if it ended well.
"""

from __future__ import annotations

import signal

from executor_image.failures import Failed
from executor_image.steps import ANSWER_BYTES, Answer, Refused, decode_answer
from messages.failure import ExecutorReason, Failure
from messages.unreadable import UNREADABLE
from messages.work import Stage
from sandbox import Exited, MemoryExceeded, Outcome, OutputExceeded, Signaled, TimedOut

OF_THE_SOURCE = frozenset(
    {
        ExecutorReason.CIRCUIT_SYNTAX_ERROR,
        ExecutorReason.CIRCUIT_INVALID,
        ExecutorReason.NO_CIRCUIT,
        ExecutorReason.NO_MEASUREMENT,
        ExecutorReason.USER_CODE_ERROR,
        ExecutorReason.USER_CODE_EXITED,
        ExecutorReason.INVALID_SPEC,
    }
)
"""What a build may be refused for. Code that forges another reason could have itself tried again for ever."""

_TAIL = 1500
"""Bytes of standard error that a report of a crash quotes."""


def check_end(outcome: Outcome, stage: Stage, max_seconds: float, memory_limit: int | None) -> None:
    """Return if the child ended by itself with 0.

    Raises:
        Failed: with what ended it otherwise.
    """
    doing = "building the circuits" if stage is Stage.BUILDING else "running the circuits"
    match outcome.end:
        case Exited(0):
            return
        case Exited(code) if stage is Stage.BUILDING:
            raise Failed(
                ExecutorReason.USER_CODE_EXITED,
                f"the code ended its process with exit code {code} before its circuits were built",
                traceback=_last_words(outcome),
            )
        case Exited(code):
            raise Failed(
                ExecutorReason.EXECUTOR_CRASHED,
                f"the executor failed with exit code {code} while {doing}",
                traceback=_last_words(outcome),
            )
        case TimedOut():
            raise Failed(
                ExecutorReason.EXECUTION_TIMEOUT,
                f"still {doing} after {max_seconds:g} s; raise spec.execution.maxExecutionTime or make the job smaller",
            )
        case MemoryExceeded():
            limit = "" if memory_limit is None else f" ({memory_limit >> 20}Mi now)"
            raise Failed(
                ExecutorReason.OUT_OF_MEMORY,
                f"ran out of memory while {doing}; raise spec.resources.limits.memory{limit} or make the job "
                "smaller",
            )
        case OutputExceeded():
            bound = f"take more than {ANSWER_BYTES >> 20} MiB, the most that one job may have"
            if stage is Stage.BUILDING:
                raise Failed(
                    ExecutorReason.CIRCUIT_INVALID,
                    f"the circuits {bound}; build fewer or smaller ones, or split them into several jobs",
                )
            raise Failed(
                ExecutorReason.RESULT_TOO_LARGE,
                f"the counts {bound} wherever they go; use fewer circuits, shots or measured bits, or split the "
                "job into several",
            )
        case Signaled(number):
            raise Failed(
                ExecutorReason.EXECUTOR_CRASHED,
                f"the process was ended by {_signal_name(number)} while {doing}",
                traceback=_last_words(outcome),
            )


def built_answer(outcome: Outcome) -> Answer:
    """The last thing that a build said. Whatever it is, it is no more than the user's word.

    Raises:
        Failed: if it is nothing that a build can say.
    """
    if not outcome.messages:
        raise Failed(
            ExecutorReason.USER_CODE_EXITED,
            "the code ended its process with exit code 0 before its circuits were built",
        )
    try:
        return decode_answer(outcome.messages[-1])
    except UNREADABLE:
        raise forged() from None


def forged() -> Failed:
    """The report for code that has written into its executor's channel."""
    return Failed(
        ExecutorReason.USER_CODE_ERROR, "the code has written to a file descriptor that is not its own"
    )


def refusal(refused: Refused, *, of_build: bool) -> Failed:
    """The failure that a child has reported."""
    failure = refused.failure
    try:
        reason = ExecutorReason(failure.reason)
    except ValueError:
        return forged()
    if of_build and reason not in OF_THE_SOURCE:
        return forged()
    return failed(reason, failure)


def failed(reason: ExecutorReason, failure: Failure) -> Failed:
    """`failure` as an exception."""
    return Failed(reason, failure.message, line=failure.line, traceback=failure.traceback)


def _last_words(outcome: Outcome) -> str | None:
    text = outcome.stderr[-_TAIL:].decode(errors="replace").strip()
    return text or None


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
