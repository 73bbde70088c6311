"""One validation: a fresh child, its limits, and what its end says about the circuit, or does not.

A limit is not a verdict. Code that runs too long here, or takes too much memory, may be right where it gets
more of both; so the verdict is `unknown` then, and the executor decides.
"""

from __future__ import annotations

import math
from typing import assert_never

import msgspec

from messages.failure import ExecutorReason
from messages.unreadable import UNREADABLE
from messages.validation import Finding, ValidateRequest, ValidateResponse, ValidationLimits, Verdict
from sandbox import (
    Exited,
    MemoryExceeded,
    Outcome,
    OutputExceeded,
    SandboxPolicy,
    Signaled,
    TimedOut,
    Zygote,
)
from validation_image.child import FAILED
from validation_image.scratch import WITHOUT_FOLDER
from validation_image.settings import Settings
from validation_image.tasks import MOST_WARNINGS, Build, encode

TIMED_OUT = "ValidationTimedOut"
OUT_OF_MEMORY = "ValidationOutOfMemory"
OUTPUT_TOO_LARGE = "ValidationOutputTooLarge"
CRASHED = "ValidationCrashed"

_REASONS = (FAILED, WITHOUT_FOLDER)
"""Why a child gives no verdict."""

_RESPONSE_BYTES = 64 << 10
_LARGEST_NUMBER = (1 << 63) - 1
"""What a status holds."""


async def validate(
    request: ValidateRequest, zygote: Zygote, settings: Settings
) -> tuple[ValidateResponse, Outcome]:
    """Look at a circuit. Raises SandboxUnavailable and ZygoteFailed."""
    limits = effective_limits(request.limits or ValidationLimits(), settings)
    outcome = await zygote.run(
        encode(Build(request)),
        SandboxPolicy(
            memory_bytes=limits.memory_bytes,
            cpu_seconds=max(1, math.ceil(limits.cpu_seconds)),
            relax=settings.sandbox_relax,
            setting="VALIDATION_SANDBOX_RELAX",
        ),
        wall_seconds=limits.wall_seconds,
        output_bytes=limits.output_bytes,
        message_bytes=_RESPONSE_BYTES,
    )
    return read_outcome(outcome, limits), outcome


def effective_limits(asked: ValidationLimits, settings: Settings) -> ValidationLimits:
    """The lower of what is asked for and what the service grants."""
    return ValidationLimits(
        wall_seconds=max(0.0, min(asked.wall_seconds, settings.wall_seconds)),
        cpu_seconds=min(asked.cpu_seconds, settings.cpu_seconds),
        memory_bytes=max(0, min(asked.memory_bytes, settings.memory_bytes)),
        output_bytes=max(0, min(asked.output_bytes, settings.output_bytes)),
    )


def read_outcome(outcome: Outcome, limits: ValidationLimits) -> ValidateResponse:
    """What the end of a child says."""
    match outcome.end:
        case TimedOut("cpu"):
            return _unknown(
                TIMED_OUT, f"building the circuit took more than {limits.cpu_seconds:g} s of CPU time"
            )
        case TimedOut():
            return _unknown(TIMED_OUT, f"building the circuit took longer than {limits.wall_seconds:g} s")
        case MemoryExceeded():
            mebibytes = limits.memory_bytes >> 20
            return _unknown(OUT_OF_MEMORY, f"building the circuit took more than {mebibytes} MiB of memory")
        case OutputExceeded():
            return _unknown(OUTPUT_TOO_LARGE, f"the code printed more than {limits.output_bytes} bytes")
        case Signaled(number):
            return _unknown(CRASHED, f"building the circuit ended with signal {number}")
        case Exited(code):
            return _said(outcome) or _left(code)
        case _:
            assert_never(outcome.end)


def _said(outcome: Outcome) -> ValidateResponse | None:
    """The response of the child, if it is one."""
    try:
        response = msgspec.msgpack.decode(outcome.messages[-1], type=ValidateResponse)
    except (IndexError, *UNREADABLE):
        return None
    return response if _is_ours(response) else None


def _is_ours(response: ValidateResponse) -> bool:
    """Whether `build_circuits` can have answered so. Code can send what it likes; a status cannot hold all of it."""
    numbers = (
        response.circuits,
        response.qubits,
        response.clbits,
        response.depth,
        response.gates,
        response.memory_bytes,
        *response.gate_types.values(),
    )
    return (
        response.valid == (response.verdict is Verdict.VALID)
        and len(response.errors) == (response.verdict is Verdict.INVALID)
        and (response.reason in _REASONS) == (response.verdict is Verdict.UNKNOWN)
        and len(response.warnings) <= MOST_WARNINGS
        and all(number is None or 0 <= number <= _LARGEST_NUMBER for number in numbers)
    )


def _left(code: int) -> ValidateResponse:
    """The code has ended its process under us, so that an executor would come to no circuit either."""
    finding = Finding(
        reason=ExecutorReason.USER_CODE_EXITED,
        message=f"the code ended its own process with exit code {code}",
    )
    return ValidateResponse(verdict=Verdict.INVALID, valid=False, errors=(finding,))


def _unknown(reason: str, message: str) -> ValidateResponse:
    return ValidateResponse(verdict=Verdict.UNKNOWN, valid=False, reason=reason, message=message)
