"""What the API server's words about a pod mean."""

from __future__ import annotations

import pytest

from backends import ProviderUnavailable, Refused
from backends.aer.refusals import refusal
from kube import (
    ApiError,
    BadRequest,
    Conflict,
    Forbidden,
    InternalError,
    Invalid,
    ServerTimeout,
    TooManyRequests,
    Unreachable,
)

QUOTA = 'pods "x" is forbidden: exceeded quota: small, requested: pods=1, used: pods=5, limited: pods=5'
SECURITY = (
    'pods "x" is forbidden: violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false'
)
NO_ACCOUNT = 'pods "x" is forbidden: error looking up service account quantum/default: not found'
ENDING = (
    'pods "x" is forbidden: unable to create new content in namespace quantum because it is being terminated'
)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (Forbidden(403, "Forbidden", QUOTA), "QuotaExceeded"),
        (Forbidden(403, "Forbidden", SECURITY), "PodRejected"),
        (Invalid(422, "Invalid", 'Pod "x" is invalid: spec.containers[0].resources…'), "PodRejected"),
        (
            BadRequest(400, "BadRequest", 'admission webhook "no.example.org" denied the request'),
            "PodRejected",
        ),
    ],
)
def test_a_refusal_names_its_class_and_the_clusters_words(error: ApiError, reason: str) -> None:
    refused = refusal(error)
    assert isinstance(refused, Refused)
    assert refused.reason == reason
    assert error.message in refused.message


@pytest.mark.parametrize(
    "error",
    [
        Forbidden(403, "Forbidden", NO_ACCOUNT),
        Forbidden(403, "Forbidden", ENDING),
        Conflict(409, "Conflict", "Operation cannot be fulfilled on resourcequotas"),
        TooManyRequests(429, "TooManyRequests", "slow down", retry_after=3),
        InternalError(500, "InternalError", "webhook does not answer"),
        ServerTimeout(504, "Timeout", "…"),
        Unreachable(0, "Unreachable", "connection refused"),
    ],
)
def test_what_may_pass_is_tried_again(error: ApiError) -> None:
    again = refusal(error)
    assert isinstance(again, ProviderUnavailable)
    assert again.retry_after == error.retry_after
