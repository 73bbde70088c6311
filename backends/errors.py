"""How a backend says no: not now, never, or not in this slot."""

from __future__ import annotations


class BackendError(Exception):
    """Base of everything that a backend raises on purpose. Anything else is a defect of the backend."""


class ProviderUnavailable(BackendError):
    """The provider did not answer, or asked to be left alone for now; the call may or may not have worked.

    The caller tries again later. After a `submit` it first asks `find` with the same attempt. `retry_after` is
    the wait that the provider named, in seconds.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.retry_after = retry_after


class Refused(BackendError):
    """The provider understood and will not do it; nothing was started.

    `reason` is a `status.reason` of QiskitJob (api.reasons), which also says whether another attempt
    follows. The message is for the job's user: what was refused, and what to do about it.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


class SlotGone(BackendError):
    """The slot that a submission was to use is taken or gone; nothing was started.

    The caller records another attempt, without that slot.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class NoSuchExecution(BackendError):
    """The handle names nothing that the provider still knows: it was deleted, or has expired."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
