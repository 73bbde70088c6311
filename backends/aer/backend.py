"""The Aer backend: an execution is a pod, made for its attempt or claimed from the warm ones."""

from __future__ import annotations

from api.names import (
    ANNOTATION_CLAIM,
    ANNOTATION_DIGEST,
    ANNOTATION_OUTPUT,
    LABEL_ATTEMPT,
    LABEL_JOB_UID,
    LABEL_ROLE,
    ROLE_EXECUTOR,
    ROLE_RESULT,
)
from api.reasons import Reason
from backends.aer.marks import see_to_marks
from backends.aer.names import pod_name
from backends.aer.observation import belongs_to, status_of
from backends.aer.pods import AerSettings, executor_pod
from backends.aer.refusals import refusal
from backends.aer.warm import claim_patch, claim_text, is_free
from backends.contract import (
    Attempt,
    Capabilities,
    Cost,
    Estimate,
    Handle,
    Result,
    Slot,
    Status,
    Submission,
)
from backends.errors import NoSuchExecution, ProviderUnavailable, Refused, SlotGone
from kube import (
    CONFIG_MAPS,
    PODS,
    AlreadyExists,
    ApiError,
    BadRequest,
    Client,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    PartialObject,
    Pod,
)
from messages.version import VERSION

METHODS = (
    "automatic",
    "statevector",
    "density_matrix",
    "stabilizer",
    "matrix_product_state",
)

FREE = Cost(amount="0.00")
"""Pods of one's own cluster have no price that this operator knows of; their provider bills nothing."""

CLAIM_TRIES = 4
"""A waiting pod changes when its kubelet reports; more than a few changes in a row mean something else."""


class AerBackend:
    """Runs attempts in pods; implements `backends.contract.Backend`.

    An executor gets its work from the gateway and hands its result in there, so nothing of a circuit passes
    through here.
    """

    def __init__(self, client: Client, settings: AerSettings) -> None:
        self._client = client
        self.settings = settings

    async def capabilities(self) -> Capabilities:
        return Capabilities(
            name="local_simulator", version=VERSION, methods=METHODS, stores_results=True, slots=True
        )

    async def estimate(self, submission: Submission) -> Estimate:  # noqa: ARG002 - all cost the same
        return Estimate(cost=FREE)

    async def submit(self, submission: Submission) -> Handle:
        return _handle(submission.attempt, await self.launch(submission))

    async def launch(self, submission: Submission) -> Pod:
        """`submit`, and the pod that it made or claimed.

        Raises:
            Refused, SlotGone, ProviderUnavailable: as `submit`.
        """
        if submission.slot is not None:
            return await self._claim(submission, submission.slot)
        body = executor_pod(self.settings, submission)
        namespace = submission.attempt.owner.namespace
        try:
            pod: Pod = await self._client.create(PODS, body, namespace, type=Pod)
        except AlreadyExists:
            return await self._made_before(submission.attempt)
        except ApiError as error:
            raise refusal(error) from error
        try:
            await see_to_marks(self._client, body, pod)
        except ApiError as error:
            raise _unavailable(error) from error
        return pod

    async def find(self, attempt: Attempt) -> Handle | None:
        pod = await self.pod_of(attempt)
        return _handle(attempt, pod) if pod is not None else None

    async def pod_of(self, attempt: Attempt) -> Pod | None:
        """The attempt's pod as it is now, whether made or claimed; `None` if there is none."""
        owner = attempt.owner
        try:
            try:
                pod = await self._client.get(PODS, pod_name(attempt), owner.namespace, type=Pod)
            except NotFound:
                pass
            else:
                if belongs_to(pod, attempt):
                    return pod
            labels = {
                LABEL_ROLE: ROLE_EXECUTOR,
                LABEL_JOB_UID: owner.uid,
                LABEL_ATTEMPT: str(attempt.number),
            }
            pods = await self._client.list_items(
                PODS, owner.namespace, type=Pod, label_selector=_selector(labels)
            )
        except ApiError as error:
            raise _unavailable(error) from error
        return next((pod for pod in pods if belongs_to(pod, attempt)), None)

    async def status(self, handle: Handle) -> Status:
        return status_of(await self._pod(handle))

    async def result(self, handle: Handle) -> Result:
        attempt = handle.attempt
        labels = {
            LABEL_ROLE: ROLE_RESULT,
            LABEL_JOB_UID: attempt.owner.uid,
            LABEL_ATTEMPT: str(attempt.number),
        }
        try:
            stored = await self._client.list_items(
                CONFIG_MAPS,
                attempt.owner.namespace,
                type=PartialObject,
                label_selector=_selector(labels),
            )
        except ApiError as error:
            raise _unavailable(error) from error
        if not stored:
            raise NoSuchExecution(f"attempt {attempt.number} of job {attempt.owner.name} stored no result")
        annotations = stored[0].metadata.annotations
        return Result(location=annotations.get(ANNOTATION_OUTPUT), digest=annotations.get(ANNOTATION_DIGEST))

    async def cancel(self, handle: Handle) -> None:
        try:
            await self._client.delete(PODS, handle.name, handle.attempt.owner.namespace, uid=handle.id)
        except (NotFound, Conflict):
            return  # gone, or another pod of its name: either way this one has ended
        except ApiError as error:
            raise _unavailable(error) from error

    async def actual_cost(self, handle: Handle) -> Cost:  # noqa: ARG002 - all cost the same
        return FREE

    async def _pod(self, handle: Handle) -> Pod:
        try:
            pod = await self._client.get(PODS, handle.name, handle.attempt.owner.namespace, type=Pod)
        except NotFound:
            raise NoSuchExecution(f"pod {handle.name} is gone") from None
        except ApiError as error:
            raise _unavailable(error) from error
        if pod.metadata.uid != handle.id:
            raise NoSuchExecution(f"pod {handle.name} is another one of that name")
        return pod

    async def _made_before(self, attempt: Attempt) -> Pod:
        """The pod that took the name, if it is the one that this very attempt made (G37)."""
        name, namespace = pod_name(attempt), attempt.owner.namespace
        try:
            pod = await self._client.get(PODS, name, namespace, type=Pod)
        except NotFound:
            raise ProviderUnavailable(f"pod {name} went while it was looked at") from None
        except ApiError as error:
            raise _unavailable(error) from error
        if not belongs_to(pod, attempt):
            raise Refused(
                Reason.POD_REJECTED,
                f"pod {name} exists and is not this job's: delete it, then create the job again",
            )
        return pod

    async def _claim(self, submission: Submission, slot: Slot) -> Pod:
        attempt, version = submission.attempt, slot.version
        namespace = attempt.owner.namespace
        for _ in range(CLAIM_TRIES):
            patch = claim_patch(attempt, submission.backend, version)
            try:
                pod: Pod = await self._client.merge_patch(PODS, slot.name, patch, namespace, type=Pod)
                if pod.metadata.uid == slot.id:
                    return pod
                raise SlotGone(f"pod {slot.name} is another one of that name")
            except NotFound:
                raise SlotGone(f"warm pod {slot.name} is gone") from None
            except Conflict:
                pass
            except (Invalid, Forbidden, BadRequest) as error:
                raise SlotGone(f"warm pod {slot.name} cannot be claimed: {error.message}") from error
            except ApiError as error:
                raise _unavailable(error) from error
            try:
                pod = await self._client.get(PODS, slot.name, namespace, type=Pod)
            except NotFound:
                raise SlotGone(f"warm pod {slot.name} is gone") from None
            except ApiError as error:
                raise _unavailable(error) from error
            if pod.metadata.uid != slot.id:
                raise SlotGone(f"warm pod {slot.name} is gone")
            if pod.metadata.annotations.get(ANNOTATION_CLAIM) == claim_text(attempt):
                return pod
            if not is_free(pod):
                raise SlotGone(f"warm pod {slot.name} is not free any more")
            version = pod.metadata.resource_version
        raise SlotGone(f"warm pod {slot.name} changes too often to be claimed")


def _handle(attempt: Attempt, pod: Pod) -> Handle:
    return Handle(attempt=attempt, id=pod.metadata.uid, name=pod.metadata.name)


def _selector(labels: dict[str, str]) -> str:
    return ",".join(f"{name}={value}" for name, value in labels.items())


def _unavailable(error: ApiError) -> ProviderUnavailable:
    return ProviderUnavailable(f"the API server: {error}", retry_after=error.retry_after)
