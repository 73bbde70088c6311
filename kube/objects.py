"""Lean views of Kubernetes objects: the few fields that are read, frozen, decoded once.

What a view does not name is dropped when it is decoded; unknown fields are no error. Metadata is shared with
the views of the project's own kinds (api.meta).
"""

from __future__ import annotations

import msgspec

from api.meta import ObjectMeta, OwnerReference

__all__ = [
    "Condition",
    "Container",
    "ContainerState",
    "ContainerStatus",
    "ObjectMeta",
    "OwnerReference",
    "PartialObject",
    "Pod",
    "PodSpec",
    "PodStatus",
    "ResourceRequirements",
    "Status",
    "Terminated",
    "TokenReview",
    "Waiting",
]


class PartialObject(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """An object's metadata alone, as a metadata-only list or watch returns it."""

    metadata: ObjectMeta


class Condition(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """One entry of `status.conditions`."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: str | None = None


class ResourceRequirements(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """Requests and limits as quantities by resource name."""

    requests: dict[str, str] = {}
    limits: dict[str, str] = {}


class Container(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """One container of a pod's spec."""

    name: str
    image: str = ""
    resources: ResourceRequirements = ResourceRequirements()


class PodSpec(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """What is read of a pod's spec."""

    containers: tuple[Container, ...] = ()
    node_name: str = ""
    priority_class_name: str = ""


class Waiting(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """Why a container has not started: ContainerCreating, ImagePullBackOff, CreateContainerConfigError, …"""

    reason: str = ""
    message: str = ""


class Terminated(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """How a container ended. `signal` is the signal's number where the runtime says it; 137 is 128 + 9."""

    exit_code: int
    reason: str = ""
    message: str = ""
    signal: int = 0
    started_at: str | None = None
    finished_at: str | None = None


class Running(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """A container that runs."""

    started_at: str | None = None


class ContainerState(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """Exactly one of the three is set, or none before the kubelet has said anything."""

    waiting: Waiting | None = None
    running: Running | None = None
    terminated: Terminated | None = None


class ContainerStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """One container of a pod's status."""

    name: str
    ready: bool = False
    restart_count: int = 0
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()


class PodStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """What is read of a pod's status. `reason` is Evicted, NodeLost, … where the whole pod is meant."""

    phase: str = ""
    reason: str = ""
    message: str = ""
    pod_ip: str = msgspec.field(name="podIP", default="")
    start_time: str | None = None
    conditions: tuple[Condition, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()


class Pod(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """A pod."""

    metadata: ObjectMeta
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class StatusCause(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """One cause in a Status's details."""

    reason: str = ""
    message: str = ""
    field: str = ""


class StatusDetails(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """Details of a Status."""

    name: str = ""
    kind: str = ""
    uid: str = ""
    causes: tuple[StatusCause, ...] = ()
    retry_after_seconds: float = 0


class Status(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """What the API server answers where it does not answer with an object."""

    status: str = ""
    code: int = 0
    reason: str = ""
    message: str = ""
    details: StatusDetails | None = None


class TokenReview(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """Whose token it is. `pod_name` and `pod_uid` are those of the pod that it was projected into."""

    authenticated: bool = False
    username: str = ""
    uid: str = ""
    groups: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()
    pod_name: str = ""
    pod_uid: str = ""
    error: str = ""
