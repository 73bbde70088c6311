"""The manifest of an executor's pod: hardened, without Kubernetes rights, and told where the gateway is.

Every path that the executor uses is passed to it by environment, because a node may map volumes elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from api.names import (
    API_VERSION,
    LABEL_ATTEMPT,
    LABEL_BACKEND,
    LABEL_JOB_NAME,
    LABEL_JOB_UID,
    LABEL_MANAGED_BY,
    LABEL_ROLE,
    MANAGED_BY,
    ROLE_EXECUTOR,
)
from api.naming import label_value
from api.quantities import parse_cpu
from backends.aer.names import pod_name
from backends.contract import Attempt, Resources, Submission, Volume
from messages.work import TOKEN_AUDIENCE

CONTAINER = "executor"

TOKEN_SECONDS = 3600
"""Lifetime of the projected token; a kubelet renews it at 80 %."""

USER = 65532
"""UID and GID of executors: the usual "nonroot" of small images, and owner of nothing on a node."""

TERMINATION_GRACE = 10
"""Seconds between SIGTERM and SIGKILL: enough to end the child, and to finish a hand-in that is under way."""

SCRATCH_LIMIT = "1Gi"
"""What an executor may put into its working folder before the kubelet evicts it."""

_TOKEN_FOLDER = "/var/run/secrets/quantum.io"  # noqa: S105 - a path, not a secret
_WORK, _TMP, _OUTPUT = "/work", "/tmp", "/output"  # noqa: S108 - mounts of the container's own
_TERMINATION_LOG = "/dev/termination-log"


@dataclass(frozen=True, slots=True)
class GatewayAccess:
    """How an executor reaches the gateway: `https://host:port`, whom to trust, and the name to check."""

    url: str
    authority_pem: str
    server_name: str = "qiskit-operator-gateway"


@dataclass(frozen=True, slots=True)
class AerSettings:
    """What all executors of this operator have in common.

    `gateway` is asked for each pod, since its authority is renewed. `priority_classes` maps a job's priority
    to a PriorityClass. `sandbox_relax` names the sandbox layers that executors may do without.
    """

    gateway: Callable[[], GatewayAccess]
    priority_classes: Mapping[str, str] = field(default_factory=dict)
    sandbox_relax: tuple[str, ...] = ()


def executor_pod(settings: AerSettings, submission: Submission) -> dict[str, Any]:
    """The pod that is made for an attempt; it belongs to the job and goes with it."""
    attempt = submission.attempt
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": pod_name(attempt),
            "namespace": attempt.owner.namespace,
            "labels": executor_labels(attempt, submission.backend),
            "ownerReferences": [job_reference(attempt)],
        },
        "spec": pod_spec(
            settings, submission.image, submission.resources, submission.priority, submission.volume
        ),
    }


def executor_labels(attempt: Attempt, backend: str) -> dict[str, str]:
    """The labels of a pod that works, or is to work, on an attempt."""
    return {
        LABEL_MANAGED_BY: MANAGED_BY,
        LABEL_ROLE: ROLE_EXECUTOR,
        LABEL_JOB_UID: attempt.owner.uid,
        LABEL_JOB_NAME: label_value(attempt.owner.name),
        LABEL_ATTEMPT: str(attempt.number),
        LABEL_BACKEND: label_value(backend),
    }


def job_reference(attempt: Attempt) -> dict[str, Any]:
    """The owner reference to an attempt's job: Kubernetes deletes the pod with it.

    It blocks nobody's deletion, since that would need a right on the job's finalizers.
    """
    return {
        "apiVersion": API_VERSION,
        "kind": "QiskitJob",
        "name": attempt.owner.name,
        "uid": attempt.owner.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }


def pod_spec(
    settings: AerSettings, image: str, resources: Resources, priority: str, volume: Volume | None = None
) -> dict[str, Any]:
    """The spec of an executor's pod, cold or warm; passes Pod Security level "restricted"."""
    security: dict[str, Any] = {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    volumes: list[dict[str, Any]] = [
        {
            "name": "token",
            "projected": {
                "sources": [
                    {
                        "serviceAccountToken": {
                            "audience": TOKEN_AUDIENCE,
                            "expirationSeconds": TOKEN_SECONDS,
                            "path": "token",
                        }
                    }
                ]
            },
        },
        {"name": "work", "emptyDir": {"sizeLimit": SCRATCH_LIMIT}},
        {"name": "tmp", "emptyDir": {"sizeLimit": SCRATCH_LIMIT}},
    ]
    mounts: list[dict[str, Any]] = [
        {"name": "token", "mountPath": _TOKEN_FOLDER, "readOnly": True},
        {"name": "work", "mountPath": _WORK},
        {"name": "tmp", "mountPath": _TMP},
    ]
    if volume is not None:
        # Without a group the folder belongs to root on most storage, and the executor is not root.
        security |= {"fsGroup": USER, "fsGroupChangePolicy": "OnRootMismatch"}
        volumes.append({"name": "output", "persistentVolumeClaim": {"claimName": volume.claim}})
        mounts.append({"name": "output", "mountPath": _OUTPUT, "subPath": volume.folder})
    container = {
        "name": CONTAINER,
        "image": image,
        "env": _environment(settings, resources, with_output=volume is not None),
        "resources": {"requests": dict(resources.requests), "limits": dict(resources.limits)},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "terminationMessagePath": _TERMINATION_LOG,
        "terminationMessagePolicy": "File",
        "volumeMounts": mounts,
    }
    spec: dict[str, Any] = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": TERMINATION_GRACE,
        "securityContext": security,
        "containers": [container],
        "volumes": volumes,
    }
    priority_class = settings.priority_classes.get(priority)
    if priority_class is not None:
        spec["priorityClassName"] = priority_class
    return spec


def _environment(settings: AerSettings, resources: Resources, *, with_output: bool) -> list[dict[str, Any]]:
    gateway = settings.gateway()
    values = {
        "EXECUTOR_GATEWAY_URL": gateway.url,
        "EXECUTOR_GATEWAY_CA": gateway.authority_pem,
        "EXECUTOR_GATEWAY_SERVER_NAME": gateway.server_name,
        "EXECUTOR_TOKEN_FILE": f"{_TOKEN_FOLDER}/token",
        "EXECUTOR_WORK_DIR": _WORK,
        "EXECUTOR_TERMINATION_LOG": _TERMINATION_LOG,
        "EXECUTOR_SANDBOX": ",".join(settings.sandbox_relax) or "required",
        "OMP_NUM_THREADS": str(_threads(resources)),
        "TMPDIR": _TMP,
    }
    if with_output:
        values["EXECUTOR_OUTPUT_DIR"] = _OUTPUT
    fields = {
        "EXECUTOR_POD_NAME": "metadata.name",
        "EXECUTOR_POD_UID": "metadata.uid",
        "EXECUTOR_NODE": "spec.nodeName",
    }
    return [
        *({"name": name, "value": value} for name, value in values.items()),
        *({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()),
    ]


def _threads(resources: Resources) -> int:
    """Threads of the simulator: whole CPUs of the limit. The node's cores would be far too many."""
    limit = resources.limits.get("cpu")
    return max(1, int(parse_cpu(limit))) if limit is not None else 1
