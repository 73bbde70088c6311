"""What the informers of the operator are made with, so that a pass finds what it needs without searching."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec

from api.names import LABEL_JOB_UID, LABEL_MANAGED_BY, LABEL_ROLE, MANAGED_BY, ROLE_RESULT
from api.phases import Phase
from api.reasons import Reason
from api.views import QiskitJob
from backends.aer.warm import is_warm
from kube import PartialObject, Pod
from reconcilers.job.world import is_examined, is_open

POD_SELECTOR = f"{LABEL_MANAGED_BY}={MANAGED_BY}"
"""The pods that the operator follows."""

RESULT_SELECTOR = f"{LABEL_MANAGED_BY}={MANAGED_BY},{LABEL_ROLE}={ROLE_RESULT}"
"""The ConfigMaps that the operator follows, by their metadata alone."""

KEPT_CODE = 16 << 10
"""Characters of inline code that the cache keeps until the job is examined; longer code is read live."""

EVERYWHERE = "*"
"""The scope of the operator's own limit on executors."""

OPEN, WAITING = "open", "waiting"
BY_JOB, BY_UID, WARM, BY_OWNER = "job-uid", "uid", "warm", "owner"


def lean(job: QiskitJob) -> QiskitJob:
    """The job without code that no pass will read from the cache (an informer's transform)."""
    code = job.spec.circuit.code
    if code is None or (len(code) <= KEPT_CODE and not is_examined(job)):
        return job
    circuit = msgspec.structs.replace(job.spec.circuit, code=None)
    return msgspec.structs.replace(job, spec=msgspec.structs.replace(job.spec, circuit=circuit))


def scopes(job: QiskitJob) -> tuple[str, ...]:
    """Where a job counts against a limit: its QiskitBackend, and the operator as a whole."""
    if job.spec.backend.name is None:
        return (EVERYWHERE,)
    return (f"{job.metadata.namespace}/{job.spec.backend.name}", EVERYWHERE)


def is_waiting(job: QiskitJob) -> bool:
    """Whether a job waits for a place, and would take it."""
    return (
        job.status.phase == Phase.SCHEDULING
        and job.status.reason == Reason.QUEUED
        and not job.spec.suspend
        and not job.spec.cancel
        and job.metadata.deletion_timestamp is None
    )


def _open(job: QiskitJob) -> Iterable[str]:
    return scopes(job) if is_open(job) else ()


def _waiting(job: QiskitJob) -> Iterable[str]:
    return scopes(job) if is_waiting(job) else ()


def _job_of(result: PartialObject) -> Iterable[str]:
    uid = result.metadata.labels.get(LABEL_JOB_UID)
    return (uid,) if uid is not None else ()


def _uid(obj: Pod | QiskitJob) -> Iterable[str]:
    return (obj.metadata.uid,)


def _warm(pod: Pod) -> Iterable[str]:
    return (pod.metadata.namespace,) if is_warm(pod) else ()


def _owner(pod: Pod) -> Iterable[str]:
    controller = pod.metadata.controller
    return (controller.uid,) if controller is not None else ()


JOB_INDEXERS: Mapping[str, Callable[[QiskitJob], Iterable[str]]] = {
    OPEN: _open,
    WAITING: _waiting,
    BY_UID: _uid,
}
POD_INDEXERS: Mapping[str, Callable[[Pod], Iterable[str]]] = {
    BY_UID: _uid,
    WARM: _warm,
    BY_OWNER: _owner,
}
RESULT_INDEXERS: Mapping[str, Callable[[PartialObject], Iterable[str]]] = {BY_JOB: _job_of}
