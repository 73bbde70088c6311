"""Why a source could not be fetched."""

from __future__ import annotations

from messages.validation import FetchResponse

NOT_FOUND = "SourceNotFound"
FORBIDDEN = "SourceForbidden"
UNAVAILABLE = "ProviderUnavailable"


class Fault(Exception):
    """There is no source, and `reason` says whose fault that is; it becomes `status.reason` of the job.

    `message` is one line for the job's author. `retryable` says whether a later try can mend it.
    """

    def __init__(self, reason: str, message: str, *, retryable: bool) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.retryable = retryable

    def response(self) -> FetchResponse:
        """The answer that tells it."""
        return FetchResponse(reason=self.reason, message=self.message, retryable=self.retryable)


def not_found(message: str, *, retryable: bool = True) -> Fault:
    """It is not there; it may come, unless the place that was asked can never change."""
    return Fault(NOT_FOUND, message, retryable=retryable)


def forbidden(message: str) -> Fault:
    """It may not be fetched, now or later."""
    return Fault(FORBIDDEN, message, retryable=False)


def unavailable(message: str) -> Fault:
    """Whoever holds it does not answer as they should; they may later."""
    return Fault(UNAVAILABLE, message, retryable=True)
