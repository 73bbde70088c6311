"""Who is calling: a projected token proves a pod, and a pod may act for one attempt at one job.

A pod is believed if the API server vouches for its token, and if the operator itself recorded its UID as the
job's current executor (`status.jobId`). Labels and owner references alone prove nothing: whoever may create
pods in a namespace can write them.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from api.names import ANNOTATION_CLAIM, LABEL_ATTEMPT, LABEL_JOB_UID
from api.phases import Phase, is_terminal
from api.views import QiskitJob
from kube import Client, Pod
from messages.failure import ExecutorReason
from messages.work import TOKEN_AUDIENCE

REVIEW_LIFETIME = 60.0
"""Seconds for which a TokenReview is believed again: an executor asks every 25 s while it waits."""

REVIEWS_KEPT = 4096

_LONGEST_NUMBER = 9

_SERVICE_ACCOUNT_PREFIX = "system:serviceaccount:"


class Unauthenticated(Exception):
    """The token is missing, or the API server does not vouch for it."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A pod that the API server vouches for."""

    namespace: str
    pod_name: str
    pod_uid: str


class TokenVerifier:
    """Asks the API server who a token belongs to, and remembers the answer for a minute by the token's hash."""

    def __init__(self, client: Client, clock: Callable[[], float]) -> None:
        self._client = client
        self._clock = clock
        self._known: OrderedDict[bytes, tuple[float, Caller]] = OrderedDict()

    async def verify(self, token: str) -> Caller:
        """Return the pod that `token` was projected into.

        Raises:
            Unauthenticated: if it is no token of ours for a pod.
            kube.ApiError: if the API server cannot be asked.
        """
        fingerprint = hashlib.sha256(token.encode()).digest()
        known = self._known.get(fingerprint)
        if known is not None and self._clock() - known[0] < REVIEW_LIFETIME:
            return known[1]
        review = await self._client.review_token(token, [TOKEN_AUDIENCE])
        if not review.authenticated or TOKEN_AUDIENCE not in review.audiences:
            raise Unauthenticated("the API server does not know this token for the gateway's audience")
        if (
            not review.pod_name
            or not review.pod_uid
            or not review.username.startswith(_SERVICE_ACCOUNT_PREFIX)
        ):
            raise Unauthenticated("the token is not bound to a pod")
        namespace = review.username.removeprefix(_SERVICE_ACCOUNT_PREFIX).split(":", 1)[0]
        caller = Caller(namespace, review.pod_name, review.pod_uid)
        self._known[fingerprint] = (self._clock(), caller)
        self._known.move_to_end(fingerprint)
        while len(self._known) > REVIEWS_KEPT:
            self._known.popitem(last=False)
        return caller


@dataclass(frozen=True, slots=True)
class Assignment:
    """The attempt that a pod was made or claimed for."""

    job_name: str
    job_uid: str
    attempt: int


def assignment(pod: Pod) -> Assignment | None:
    """What a pod says that it is for; `None` for a warm pod that nobody has claimed, or a pod of no job."""
    claim = pod.metadata.annotations.get(ANNOTATION_CLAIM)
    if claim is not None:
        name, _, rest = claim.partition("/")
        uid, _, attempt = rest.partition("/")
        return Assignment(name, uid, int(attempt)) if _is_number(attempt) else None
    uid = pod.metadata.labels.get(LABEL_JOB_UID, "")
    attempt = pod.metadata.labels.get(LABEL_ATTEMPT, "")
    if not uid or not _is_number(attempt):
        return None
    for owner in pod.metadata.owner_references:
        if owner.uid == uid and owner.kind == "QiskitJob":
            return Assignment(owner.name, uid, int(attempt))
    return None


def _is_number(text: str) -> bool:
    """Whether the text is an attempt's number. Anybody may write annotations, also with thousands of digits."""
    return text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER


@dataclass(frozen=True, slots=True)
class Go:
    """The pod is the job's current executor."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Not yet: this replica has not seen that the pod was recorded. Asking again is right."""


@dataclass(frozen=True, slots=True)
class Over:
    """Never again: the attempt has ended. The executor should stop."""

    reason: str
    message: str


Admission = Go | Wait | Over


def is_recorded(job: QiskitJob | None, claim: Assignment, pod_uid: str) -> bool:
    """Whether the operator has named the pod as executor of the job that it claims, be the job over or not."""
    return job is not None and job.metadata.uid == claim.job_uid and job.status.job_id == pod_uid


def admit(job: QiskitJob | None, claim: Assignment, pod_uid: str) -> Admission:
    """Decide whether the pod may act for the attempt that it claims, by what the job itself records."""
    if job is None or job.metadata.uid != claim.job_uid or job.metadata.deletion_timestamp is not None:
        return Over("JobGone", f"QiskitJob {claim.job_name} with UID {claim.job_uid} is gone")
    status = job.status
    if is_terminal(status.phase):
        return Over("JobFinished", f"QiskitJob {claim.job_name} is {status.phase} already")
    if job.spec.cancel:
        return Over("AttemptStopped", f"QiskitJob {claim.job_name} was cancelled")
    if job.spec.suspend:
        # Told apart, for it may be taken back before the operator has seen it: then this was no failure.
        return Over(ExecutorReason.SUSPENDED, f"QiskitJob {claim.job_name} was suspended")
    if status.attempt > claim.attempt or (status.attempt == claim.attempt and status.phase == Phase.RETRYING):
        return Over("AttemptOver", f"attempt {claim.attempt} of QiskitJob {claim.job_name} is over")
    if status.attempt == claim.attempt and status.job_id == pod_uid:
        return Go()
    if status.attempt == claim.attempt and status.job_id:
        return Over(
            "AttemptOver", f"attempt {claim.attempt} of QiskitJob {claim.job_name} has another executor"
        )
    return Wait()
