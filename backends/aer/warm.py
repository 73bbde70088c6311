"""Warm pods: executors that have started and wait. Each serves one attempt, claimed by an annotation."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import msgspec

from api.names import (
    ANNOTATION_CLAIM,
    ANNOTATION_IMAGE,
    ANNOTATION_WARM_SINCE,
    API_VERSION,
    GROUP,
    LABEL_BACKEND,
    LABEL_MANAGED_BY,
    LABEL_ROLE,
    MANAGED_BY,
    ROLE_WARM,
)
from api.naming import label_value
from api.quantities import parse_quantity
from backends.aer.names import warm_pod_name
from backends.aer.observation import executor_of, is_claimed, is_ready
from backends.aer.pods import AerSettings, executor_labels, job_reference, pod_spec
from backends.contract import Attempt, Owner, Resources, Slot, Submission
from kube import Pod

POOL_PRIORITY = "normal"
"""The priority that warm pods are started with; jobs of another one get pods of their own."""

LABEL_TEMPLATE = f"{GROUP}/template"
"""On a warm pod: a digest of its spec. A pod of an outdated spec is replaced."""


def template_digest(settings: AerSettings, image: str, resources: Resources) -> str:
    """What tells warm pods of one make from those of another: everything that is in their spec."""
    spec = msgspec.json.encode(pod_spec(settings, image, resources, POOL_PRIORITY), order="deterministic")
    return hashlib.sha256(spec).hexdigest()[:16]


def warm_pod(
    settings: AerSettings, backend: Owner, image: str, resources: Resources, token: str
) -> dict[str, Any]:
    """A pod of a QiskitBackend's pool. The backend owns it until a job claims it."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": warm_pod_name(backend.name, backend.uid, token),
            "namespace": backend.namespace,
            "labels": {
                LABEL_MANAGED_BY: MANAGED_BY,
                LABEL_ROLE: ROLE_WARM,
                LABEL_BACKEND: label_value(backend.name),
                LABEL_TEMPLATE: template_digest(settings, image, resources),
            },
            "annotations": {ANNOTATION_IMAGE: image},
            "ownerReferences": [
                {
                    "apiVersion": API_VERSION,
                    "kind": "QiskitBackend",
                    "name": backend.name,
                    "uid": backend.uid,
                    "controller": True,
                    "blockOwnerDeletion": False,
                }
            ],
        },
        "spec": pod_spec(settings, image, resources, POOL_PRIORITY),
    }


def is_warm(pod: Pod) -> bool:
    """Whether the pod was started to wait for work."""
    return pod.metadata.labels.get(LABEL_ROLE) == ROLE_WARM or is_claimed(pod)


def is_free(pod: Pod) -> bool:
    """Whether a pod of a pool can be claimed: it runs, though it may still import for a second.

    That is sooner done than the start of a pod of the job's own.
    """
    return pod.metadata.labels.get(LABEL_ROLE) == ROLE_WARM and not is_claimed(pod) and is_ready(pod)


def waits(pod: Pod) -> bool:
    """Whether a free pod has loaded all that a job needs, and waits at the gateway: it is warm, then."""
    return is_free(pod) and ANNOTATION_WARM_SINCE in pod.metadata.annotations


def choose(pods: Iterable[Pod], submission: Submission, *, explicit: Resources | None) -> Slot | None:
    """The pod that a submission may claim: a free one of its namespace that is what it asks for.

    Image, as it was asked for, and priority must be equal. `explicit` is what the job itself asked for: equal, or
    nothing at all, in which case the pod's limits must hold what `submission.resources` says the circuit needs. Pods
    that wait come first, among them those of the job's own backend, then the oldest. An attempt with a volume needs a
    pod that mounts it.
    """
    if submission.volume is not None or submission.priority != POOL_PRIORITY:
        return None
    fitting = [pod for pod in pods if _fits(pod, submission, explicit)]
    backend = label_value(submission.backend)
    best = min(
        fitting,
        key=lambda pod: (
            not waits(pod),
            pod.metadata.labels.get(LABEL_BACKEND) != backend,
            pod.metadata.creation_timestamp,
            pod.metadata.name,
        ),
        default=None,
    )
    if best is None:
        return None
    return Slot(id=best.metadata.uid, name=best.metadata.name, version=best.metadata.resource_version)


def _fits(pod: Pod, submission: Submission, explicit: Resources | None) -> bool:
    if not is_free(pod) or pod.metadata.namespace != submission.attempt.owner.namespace:
        return False
    container = executor_of(pod)
    if pod.metadata.annotations.get(ANNOTATION_IMAGE, container.image) != submission.image:
        return False
    has, wants = container.resources, submission.resources
    if explicit is not None:
        return _equal(has.requests, wants.requests) and _equal(has.limits, wants.limits)
    return all(
        name not in has.limits or parse_quantity(has.limits[name]) >= parse_quantity(limit)
        for name, limit in wants.limits.items()
        if name != "cpu"  # fewer CPUs make a run slower, not impossible
    )


def _equal(one: dict[str, str], other: dict[str, str]) -> bool:
    return one.keys() == other.keys() and all(
        parse_quantity(value) == parse_quantity(other[name]) for name, value in one.items()
    )


def claim_text(attempt: Attempt) -> str:
    """The claim as the annotation says it: `<job name>/<job UID>/<attempt>`."""
    return f"{attempt.owner.name}/{attempt.owner.uid}/{attempt.number}"


def claim_patch(attempt: Attempt, backend: str, resource_version: str) -> dict[str, Any]:
    """The merge patch that makes a warm pod the attempt's: it then belongs to the job, and goes with it."""
    return {
        "metadata": {
            "resourceVersion": resource_version,
            "annotations": {ANNOTATION_CLAIM: claim_text(attempt)},
            "labels": executor_labels(attempt, backend),
            "ownerReferences": [job_reference(attempt)],
        }
    }
