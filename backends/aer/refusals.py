"""What the API server's refusal of a pod, or of another object of a job's, means for the job."""

from __future__ import annotations

from api.reasons import Reason
from backends.errors import BackendError, ProviderUnavailable, Refused
from kube import ApiError, BadRequest, Forbidden, Invalid, TooLarge

_PASSING = (
    # A namespace that was created a moment ago has no ServiceAccount yet.
    "error looking up service account",
    # Everything in a namespace that ends is about to go, the job included.
    "because it is being terminated",
)


def refusal(error: ApiError) -> BackendError:
    """Sort an error of creating a pod: refused for good, refused by a quota, or not answered properly."""
    return refusal_of("the executor's pod", Reason.POD_REJECTED, error)


def refusal_of(what: str, reason: Reason, error: ApiError) -> BackendError:
    """The same for any object; `reason` is that of a refusal for good."""
    if isinstance(error, Forbidden):
        if "exceeded quota" in error.message:
            return Refused(Reason.QUOTA_EXCEEDED, f"the namespace's quota has no room: {error.message}")
        if any(text in error.message for text in _PASSING):
            return ProviderUnavailable(error.message)
    if isinstance(error, Forbidden | Invalid | BadRequest | TooLarge):
        return Refused(reason, f"the cluster refused {what}: {error.message}")
    return ProviderUnavailable(f"the API server: {error}", retry_after=error.retry_after)
