"""Objects as a reconciler sees them, said in few words: `a_job("bell").running(attempt=1).view`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import msgspec

from api.conditions import set_condition
from api.meta import ObjectMeta, OwnerReference
from api.names import (
    ANNOTATION_DIGEST,
    ANNOTATION_OUTPUT,
    ANNOTATION_SUMMARY,
    ANNOTATION_WARM_SINCE,
    LABEL_ATTEMPT,
    LABEL_JOB_UID,
    LABEL_MANAGED_BY,
    LABEL_ROLE,
    MANAGED_BY,
    ROLE_EXECUTOR,
    ROLE_RESULT,
    ROLE_WARM,
)
from api.phases import Phase
from api.timestamps import format_time, parse_time
from api.views import CircuitMetadata, QiskitBackend, QiskitJob, SourceRecord
from backends import Attempt, Owner
from backends.aer.names import pod_name
from kube import (
    Condition,
    Container,
    ContainerState,
    ContainerStatus,
    PartialObject,
    Pod,
    PodSpec,
    PodStatus,
    ResourceRequirements,
    Terminated,
    Waiting,
)
from kube.objects import Running
from messages.work import Summary
from tests.reconcilers.fake_node import a_summary

NAMESPACE = "quantum"
CREATED = "2027-01-31T08:00:00Z"
T0 = parse_time(CREATED)
"""When everything here was created, in seconds since 1970."""


def at(seconds: float) -> str:
    """A timestamp so many seconds after T0."""
    return format_time(T0 + seconds)


@dataclass(frozen=True)
class JobBuilder:
    """A job under construction; every method returns another one."""

    view: QiskitJob

    def with_spec(self, **spec: Any) -> JobBuilder:
        """Fields of the spec as a manifest has them."""
        merged = {**msgspec.to_builtins(self.view.spec), **spec}
        return self._change(spec=msgspec.convert(merged, type=type(self.view.spec)))

    def with_status(self, **status: Any) -> JobBuilder:
        return self._change(status=msgspec.structs.replace(self.view.status, **status))

    def with_metadata(self, **metadata: Any) -> JobBuilder:
        return self._change(metadata=msgspec.structs.replace(self.view.metadata, **metadata))

    def with_condition(
        self, type_: str, status: Any, reason: str = "Because", *, since: float = 0
    ) -> JobBuilder:
        conditions = set_condition(self.view.status.conditions, type_, status, reason, "", at(since), 1)
        return self.with_status(conditions=conditions)

    def examined(self, **circuit: Any) -> JobBuilder:
        facts = {"qubits": 2, "method": "stabilizer", "memory_bytes": 64, **circuit}
        return self.with_status(
            source=SourceRecord(hash="sha256:source"), circuit_metadata=CircuitMetadata(**facts)
        ).with_condition("Validated", "True")

    def scheduled(self, *, attempt: int = 1, since: float = 0, job_id: str | None = None) -> JobBuilder:
        """An attempt is recorded."""
        builder = self.examined().with_status(
            phase=Phase.SCHEDULING,
            attempt=attempt,
            job_id=job_id,
            observed_generation=1,
            start_time=at(0),
            selected_backend="local_simulator",
        )
        builder = builder.with_condition("Scheduled", "True", since=since)
        return builder.with_condition("Submitted", "True", since=since) if job_id else builder

    def running(self, *, attempt: int = 1, since: float = 0, job_id: str = "pod-1") -> JobBuilder:
        return self.scheduled(attempt=attempt, since=since, job_id=job_id).with_status(phase=Phase.RUNNING)

    def retrying(self, *, attempt: int = 1, retries: int = 1, due: float = 10) -> JobBuilder:
        return (
            self.scheduled(attempt=attempt, job_id=f"pod-{attempt}")
            .with_status(phase=Phase.RETRYING, reason="NodeLost", retry_count=retries, next_retry_at=at(due))
            .with_condition("Scheduled", "False", "NodeLost")
            .with_condition("Submitted", "False", "NodeLost")
        )

    def ended(self, phase: Phase, *, at_second: float = 60) -> JobBuilder:
        return self.running().with_status(phase=phase, completion_time=at(at_second))

    def _change(self, **changes: Any) -> JobBuilder:
        return replace(self, view=msgspec.structs.replace(self.view, **changes))


def a_job(name: str = "bell", *, uid: str = "job-1", created: float = 0) -> JobBuilder:
    """A job as `kubectl apply` leaves it."""
    metadata = ObjectMeta(
        name=name,
        namespace=NAMESPACE,
        uid=uid,
        resource_version="100",
        generation=1,
        creation_timestamp=at(created),
    )
    return JobBuilder(QiskitJob(metadata=metadata)).with_spec(
        backend={"type": "local_simulator"}, circuit={"source": "inline", "code": "qc = ..."}
    )


@dataclass(frozen=True)
class PodBuilder:
    """A pod under construction."""

    view: Pod

    def with_metadata(self, **metadata: Any) -> PodBuilder:
        return self._change(metadata=msgspec.structs.replace(self.view.metadata, **metadata))

    def with_annotations(self, **annotations: str) -> PodBuilder:
        return self.with_metadata(annotations={**self.view.metadata.annotations, **annotations})

    def with_status(self, **status: Any) -> PodBuilder:
        return self._change(status=msgspec.structs.replace(self.view.status, **status))

    def with_spec(self, **spec: Any) -> PodBuilder:
        return self._change(spec=msgspec.structs.replace(self.view.spec, **spec))

    def with_labels(self, **labels: str) -> PodBuilder:
        return self.with_metadata(labels={**self.view.metadata.labels, **labels})

    def waiting(self, reason: str, message: str = "") -> PodBuilder:
        return self._in_state(waiting=Waiting(reason=reason, message=message))

    def unschedulable(self, message: str = "0/1 nodes are available") -> PodBuilder:
        condition = Condition(type="PodScheduled", status="False", reason="Unschedulable", message=message)
        return self.with_status(conditions=(condition,))

    def disrupted(self, reason: str) -> PodBuilder:
        condition = Condition(type="DisruptionTarget", status="True", reason=reason)
        return self.with_status(conditions=(*self.view.status.conditions, condition))

    def running(self, *, since: float = 0) -> PodBuilder:
        return self._in_state(running=Running(started_at=at(since))).with_status(phase="Running")

    def deleted(self, *, by: float = 0) -> PodBuilder:
        return self.with_metadata(deletion_timestamp=at(by))

    def ended(self, code: int = 0, *, reason: str = "", message: str = "", signal: int = 0) -> PodBuilder:
        state = Terminated(
            exit_code=code, reason=reason, message=message, signal=signal, started_at=at(1), finished_at=at(2)
        )
        return self._in_state(terminated=state).with_status(phase="Succeeded" if code == 0 else "Failed")

    def _in_state(self, **state: Any) -> PodBuilder:
        status = ContainerStatus(name="executor", ready="running" in state, state=ContainerState(**state))
        return self.with_status(container_statuses=(status,))

    def _change(self, **changes: Any) -> PodBuilder:
        return replace(self, view=msgspec.structs.replace(self.view, **changes))


def a_pod(uid: str = "pod-1", *, job_uid: str = "job-1", attempt: int = 1) -> PodBuilder:
    """The pod of an attempt, as the API server has just made it."""
    owner = OwnerReference(
        api_version="quantum.io/v1", kind="QiskitJob", name="bell", uid=job_uid, controller=True
    )
    labels = {
        LABEL_MANAGED_BY: MANAGED_BY,
        LABEL_ROLE: ROLE_EXECUTOR,
        LABEL_JOB_UID: job_uid,
        LABEL_ATTEMPT: str(attempt),
    }
    metadata = ObjectMeta(
        name=pod_name(Attempt(owner=Owner(namespace=NAMESPACE, name="bell", uid=job_uid), number=attempt)),
        namespace=NAMESPACE,
        uid=uid,
        resource_version="200",
        creation_timestamp=at(0),
        labels=labels,
        owner_references=(owner,),
    )
    return PodBuilder(Pod(metadata=metadata, status=PodStatus(phase="Pending")))


def a_warm_pod(
    uid: str = "warm-1",
    *,
    image: str = "executor:1",
    backend: str = "pool",
    limits: dict[str, str] | None = None,
    requests: dict[str, str] | None = None,
) -> PodBuilder:
    """A pod that waits for work at the gateway, ready."""
    container = Container(
        name="executor",
        image=image,
        resources=ResourceRequirements(
            requests=requests or {"cpu": "250m", "memory": "256Mi"},
            limits=limits or {"cpu": "1", "memory": "512Mi"},
        ),
    )
    owner = OwnerReference(
        api_version="quantum.io/v1", kind="QiskitBackend", name=backend, uid=f"{backend}-uid", controller=True
    )
    metadata = ObjectMeta(
        name=uid,
        namespace=NAMESPACE,
        uid=uid,
        resource_version="300",
        creation_timestamp=at(0),
        labels={LABEL_MANAGED_BY: MANAGED_BY, LABEL_ROLE: ROLE_WARM, "quantum.io/backend": backend},
        annotations={ANNOTATION_WARM_SINCE: at(0)},
        owner_references=(owner,),
    )
    return PodBuilder(Pod(metadata=metadata, spec=PodSpec(containers=(container,)))).running()


def a_backend(name: str = "pool", **spec: Any) -> QiskitBackend:
    """A QiskitBackend of the local simulator."""
    body = {
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "uid": f"{name}-uid",
            "resourceVersion": "400",
            "generation": 1,
        },
        "spec": {"type": "local_simulator", **spec},
    }
    return msgspec.convert(body, type=QiskitBackend)


def a_result(
    *, job_uid: str = "job-1", name: str = "bell-results", attempt: int = 1, summary: Summary | None = None
) -> PartialObject:
    """A stored result, as the metadata-only informer shows it."""
    metadata = ObjectMeta(
        name=name,
        namespace=NAMESPACE,
        uid="result-uid",
        resource_version="500",
        labels={
            LABEL_MANAGED_BY: MANAGED_BY,
            LABEL_ROLE: ROLE_RESULT,
            LABEL_JOB_UID: job_uid,
            LABEL_ATTEMPT: str(attempt),
        },
        annotations={
            ANNOTATION_DIGEST: "sha256:document",
            ANNOTATION_OUTPUT: name,
            ANNOTATION_SUMMARY: msgspec.json.encode(summary or a_summary()).decode(),
        },
    )
    return PartialObject(metadata=metadata)
