"""How far an executor's pod is, read from the pod alone. Pure, for cached pods and live ones alike."""

from __future__ import annotations

from api.names import (
    ANNOTATION_CLAIM,
    LABEL_ATTEMPT,
    LABEL_JOB_UID,
    LABEL_MANAGED_BY,
    MANAGED_BY,
)
from backends.aer.pods import CONTAINER
from backends.contract import Attempt, State, Status
from kube import Container, ContainerState, Pod


def belongs_to(pod: Pod, attempt: Attempt) -> bool:
    """Whether the pod is controlled by the attempt's job and was made, or claimed, for this attempt.

    One without the label that caches and gateways follow pods by is nobody's: it is never given work, never seen
    to end, and so never waited for.
    """
    controller = pod.metadata.controller
    return (
        controller is not None
        and pod.metadata.labels.get(LABEL_MANAGED_BY) == MANAGED_BY
        and controller.uid == attempt.owner.uid
        and pod.metadata.labels.get(LABEL_JOB_UID) == attempt.owner.uid
        and pod.metadata.labels.get(LABEL_ATTEMPT) == str(attempt.number)
    )


def attempt_number(pod: Pod) -> int:
    """The number of the attempt that a pod is labelled with; 0 if it is labelled with none."""
    text = pod.metadata.labels.get(LABEL_ATTEMPT, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0


def is_claimed(pod: Pod) -> bool:
    """Whether a warm pod has been given work."""
    return ANNOTATION_CLAIM in pod.metadata.annotations


def is_finished(pod: Pod) -> bool:
    """Whether the pod's containers have ended for good."""
    return pod.status.phase in ("Succeeded", "Failed")


def has_ended(pod: Pod) -> bool:
    """Whether the executor has ended for good, be its pod finished or not.

    A kubelet says it of the container a moment before it says it of the pod, and never of a pod whose other
    containers, such as a proxy that an admission webhook put in, run on.
    """
    return is_finished(pod) or container_state(pod).terminated is not None


def is_running(pod: Pod) -> bool:
    """Whether the executor runs."""
    return pod.status.phase == "Running" and container_state(pod).terminated is None


def is_ready(pod: Pod) -> bool:
    """Whether the executor runs, nothing ends it, and its container counts as ready."""
    return (
        is_running(pod)
        and pod.metadata.deletion_timestamp is None
        and any(status.name == CONTAINER and status.ready for status in pod.status.container_statuses)
    )


def executor_of(pod: Pod) -> Container:
    """The executor's container as it was asked for. An admission webhook may have put others in, before it too."""
    for container in pod.spec.containers:
        if container.name == CONTAINER:
            return container
    return Container(name=CONTAINER)


def container_state(pod: Pod) -> ContainerState:
    """The state of the executor's container; empty before the kubelet has said anything."""
    for status in pod.status.container_statuses:
        if status.name == CONTAINER:
            return status.state
    return ContainerState()


def ended_at(pod: Pod) -> str | None:
    """When the executor's container ended."""
    terminated = container_state(pod).terminated
    return terminated.finished_at if terminated is not None else None


def started_at(pod: Pod) -> str | None:
    """When the executor's container started."""
    state = container_state(pod)
    if state.running is not None:
        return state.running.started_at
    return state.terminated.started_at if state.terminated is not None else None


_STATES = {"Running": State.RUNNING, "Succeeded": State.SUCCEEDED, "Failed": State.FAILED}


def status_of(pod: Pod) -> Status:
    """The pod in the words of the backend contract."""
    container = container_state(pod)
    reason, message = pod.status.reason, pod.status.message
    state = _STATES.get(pod.status.phase, State.QUEUED)
    if container.waiting is not None:
        reason, message = reason or container.waiting.reason, message or container.waiting.message
    if container.terminated is not None:
        if not is_finished(pod):
            state = State.FAILED if container.terminated.exit_code else State.SUCCEEDED
        reason, message = reason or container.terminated.reason, message or container.terminated.message
    return Status(
        state=state,
        reason=reason,
        message=message,
        started_at=started_at(pod),
        ended_at=ended_at(pod),
    )
