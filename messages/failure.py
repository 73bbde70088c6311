"""How an attempt that failed says so: a report in the pod's termination message and an exit code.

The reasons are those of `status.reason`. An exit code stands in for the report where the process could not
write one; codes start at 64 so that they collide neither with Python's 1 and 2 nor with 128+signal.
"""

from __future__ import annotations

import re
from enum import StrEnum

import msgspec

TERMINATION_MESSAGE_LIMIT = 4096
"""Bytes that a kubelet keeps of a termination message (Kubernetes' own limit)."""


class ExecutorReason(StrEnum):
    """Why an executor gave up; every value is a `status.reason` of QiskitJob."""

    CIRCUIT_SYNTAX_ERROR = "CircuitSyntaxError"
    CIRCUIT_INVALID = "CircuitInvalid"
    NO_CIRCUIT = "NoCircuit"
    NO_MEASUREMENT = "NoMeasurement"
    USER_CODE_ERROR = "UserCodeError"
    USER_CODE_EXITED = "UserCodeExited"
    INSUFFICIENT_RESOURCES = "InsufficientResources"
    OUTPUT_CONFLICT = "OutputConflict"
    RESULT_TOO_LARGE = "ResultTooLarge"
    EXECUTION_TIMEOUT = "ExecutionTimeout"
    OUT_OF_MEMORY = "OutOfMemory"
    SOURCE_CHANGED = "SourceChanged"
    SOURCE_NOT_FOUND = "SourceNotFound"
    SANDBOX_UNAVAILABLE = "SandboxUnavailable"
    EXECUTOR_CRASHED = "ExecutorCrashed"
    EXECUTOR_LOST = "ExecutorLost"
    GATEWAY_UNAVAILABLE = "GatewayUnavailable"
    INVALID_SPEC = "InvalidSpec"
    BACKEND_NOT_FOUND = "BackendNotFound"
    SUSPENDED = "Suspended"


EXIT_CODES: dict[ExecutorReason, int] = {reason: 64 + i for i, reason in enumerate(ExecutorReason)}
"""Exit code of the executor for each reason; 0 is a result that was handed in."""

REASONS_BY_EXIT_CODE: dict[int, ExecutorReason] = {code: reason for reason, code in EXIT_CODES.items()}


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why an attempt failed, in words for its user.

    `message` is one line that says what happened and what to do. `line` is the line number in the user's
    own code, `traceback` the tail of the user's traceback; both only where there is one.
    """

    reason: str
    message: str
    line: int | None = None
    traceback: str | None = None


def printable(text: str) -> str:
    """`text` without what steers a terminal or is no character: it goes into statuses, events and logs.

    Line ends and tabs stay; everything else that is not printable becomes a replacement character.
    """
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def account(message: str, line: int | None, traceback: str | None) -> str:
    """What a status says of a fault in a source, whoever claims it: line, message and traceback, printable.

    The line is named once: most messages name it themselves.
    """
    if line is not None and not re.search(rf"\bline {line}\b", message):
        message = f"line {line}: {message}"
    return printable(f"{message}\n{traceback}" if traceback else message)
