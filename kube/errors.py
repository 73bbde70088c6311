"""What can go wrong between us and the API server, as types that a caller matches by class.

`error_of` sorts a Status by its reason first and its code second: two different refusals share 409.
"""

from __future__ import annotations

from typing import Any


class ApiError(Exception):
    """The API server refused a request, or could not be asked.

    `status` is the HTTP status (0 where there was no answer), `reason` the Status's reason, `retry_after` in
    seconds where the server named a wait, `details` the Status's details as decoded JSON.
    """

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        *,
        retry_after: float | None = None,
        details: Any = None,
    ) -> None:
        super().__init__(f"{reason}: {message}" if message else reason)
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after = retry_after
        self.details = details


class BadRequest(ApiError):
    """400: the request cannot be understood."""


class Unauthorized(ApiError):
    """401: the credentials are missing or no longer good."""


class Forbidden(ApiError):
    """403: no right to do this, a quota is exhausted, or an admission plugin said no."""


class NotFound(ApiError):
    """404: there is no such object, or no such kind."""


class MethodNotSupported(ApiError):
    """405: the resource does not take this verb."""


class Conflict(ApiError):
    """409: the object changed since it was read, or a precondition failed."""


class AlreadyExists(ApiError):
    """409: an object of this name is there already."""


class Gone(ApiError):
    """410: the resource version or continue token is too old."""


class TooLarge(ApiError):
    """413: the object is larger than the server takes."""


class UnsupportedMediaType(ApiError):
    """415: the kind of patch is not supported for this resource."""


class Invalid(ApiError):
    """422: the object breaks its schema or a rule."""


class TooManyRequests(ApiError):
    """429: the server sheds load, or an eviction would break a budget."""


class InternalError(ApiError):
    """500 and other 5xx: the server, or something before it, failed."""


class ServiceUnavailable(ApiError):
    """503: the server is starting, stopping or overloaded."""


class ServerTimeout(ApiError):
    """504, and 500 ServerTimeout: the server gave up; the request may or may not have been carried out."""


class VersionTooLarge(ServerTimeout):
    """504: the server has not reached the resource version asked for.

    It asks to be asked again, but the version may be of another history (a restored etcd) and never come.
    """


class Unreachable(ApiError):
    """No answer: the connection was refused or cut. A request that writes may have been carried out."""


class DeadlineExceeded(ApiError):
    """No answer within the call's deadline. A request that writes may have been carried out."""


class BadAnswer(ApiError):
    """An answer that says success and is not what was asked for: a proxy's page, another kind, half an object."""


_BY_REASON: dict[str, type[ApiError]] = {
    "AlreadyExists": AlreadyExists,
    "BadRequest": BadRequest,
    "Conflict": Conflict,
    "Expired": Gone,
    "Forbidden": Forbidden,
    "Gone": Gone,
    "InternalError": InternalError,
    "Invalid": Invalid,
    "MethodNotAllowed": MethodNotSupported,
    "NotFound": NotFound,
    "RequestEntityTooLarge": TooLarge,
    "ServerTimeout": ServerTimeout,
    "ServiceUnavailable": ServiceUnavailable,
    "Timeout": ServerTimeout,
    "TooManyRequests": TooManyRequests,
    "Unauthorized": Unauthorized,
    "UnsupportedMediaType": UnsupportedMediaType,
}
_BY_STATUS: dict[int, type[ApiError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    405: MethodNotSupported,
    409: Conflict,
    410: Gone,
    413: TooLarge,
    415: UnsupportedMediaType,
    422: Invalid,
    429: TooManyRequests,
    503: ServiceUnavailable,
    504: ServerTimeout,
}


_ETCD_TOO_LARGE = "request is too large"
"""etcd's refusal of what the API server let through comes as a 500 without a reason."""


_TOO_LARGE_CAUSE = "ResourceVersionTooLarge"
"""The cause in `details` of a 504 Timeout."""

_TOO_LARGE_MESSAGE = "too large resource version"
"""What proxies that drop `details` leave of it; lower case."""


def is_version_too_large(message: str, details: object) -> bool:
    """Whether a Status says so; `details` of whatever shape are searched as text."""
    return _TOO_LARGE_CAUSE in str(details) or _TOO_LARGE_MESSAGE in message.lower()


def error_of(
    status: int, reason: str, message: str, *, retry_after: float | None = None, details: Any = None
) -> ApiError:
    """The error for a Status, as the most telling class."""
    if status == 500 and not reason and _ETCD_TOO_LARGE in message:
        reason = "RequestEntityTooLarge"
    if status == 504 and is_version_too_large(message, details):
        return VersionTooLarge(status, reason, message, retry_after=retry_after, details=details)
    kind = _BY_REASON.get(reason) or _BY_STATUS.get(status) or (InternalError if status >= 500 else ApiError)
    return kind(status, reason or f"HTTP{status}", message, retry_after=retry_after, details=details)
