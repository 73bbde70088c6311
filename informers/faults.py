"""What a failed request means for the next one: the API server's errors, sorted (G6, G11)."""

from __future__ import annotations

from informers.events import Fault
from kube.errors import ApiError, DeadlineExceeded, Unreachable, is_version_too_large

UNSUPPORTED_STATUS = frozenset({400, 405, 422})
"""Answers of a server that does not know `sendInitialEvents`."""


def fault_of_status(code: int, reason: str, message: str, details: object = None) -> Fault:
    """Sorts a Status by its code, reason and details (whatever their shape: they are searched as text)."""
    if code == 410 or reason in ("Expired", "Gone"):
        return Fault.EXPIRED
    if is_version_too_large(message, details):
        return Fault.TOO_LARGE
    if code == 429 or reason == "TooManyRequests":
        return Fault.REFUSED
    if code in UNSUPPORTED_STATUS:
        return Fault.UNSUPPORTED
    return Fault.OTHER


def fault_of_error(error: ApiError) -> Fault:
    """Sorts an error of the client."""
    if isinstance(error, Unreachable | DeadlineExceeded):
        return Fault.REFUSED
    return fault_of_status(error.status, error.reason, error.message, error.details)
