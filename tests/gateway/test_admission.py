"""Which pod may act for which attempt: a table that reads as the rule."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from api.views import QiskitJob
from gateway.identity import Assignment, Go, Over, Wait, admit, assignment
from kube import Pod

CLAIM = Assignment("bell", "job-1", 2)


def a_job(
    *, uid: str = "job-1", deleting: bool = False, spec: dict[str, Any] | None = None, **status: Any
) -> QiskitJob:
    metadata = {"name": "bell", "namespace": "lab", "uid": uid}
    if deleting:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    return msgspec.convert({"metadata": metadata, "spec": spec or {}, "status": status}, QiskitJob)


RUNNING: dict[str, Any] = {"phase": "Running", "attempt": 2, "jobId": "pod-1"}

TABLE = [
    ("the recorded executor of the current attempt goes", a_job(**RUNNING), Go),
    ("also while its pod is still being scheduled", a_job(**RUNNING | {"phase": "Scheduling"}), Go),
    ("a pod that is not recorded yet waits", a_job(phase="Scheduling", attempt=2), Wait),
    (
        "a pod of an attempt that is not written yet waits",
        a_job(phase="Retrying", attempt=1, jobId="pod-0"),
        Wait,
    ),
    ("another pod of the same attempt is turned away", a_job(**RUNNING | {"jobId": "pod-2"}), Over),
    ("a pod of an earlier attempt is turned away", a_job(**RUNNING | {"attempt": 3}), Over),
    ("an attempt that failed is over before the next begins", a_job(**RUNNING | {"phase": "Retrying"}), Over),
    ("a finished job needs nobody", a_job(**RUNNING | {"phase": "Completed"}), Over),
    ("a failed job needs nobody", a_job(**RUNNING | {"phase": "Failed"}), Over),
    ("a job that is being cancelled needs nobody", a_job(spec={"cancel": True}, **RUNNING), Over),
    ("a job that is being suspended needs nobody", a_job(spec={"suspend": True}, **RUNNING), Over),
    ("a job that is being deleted needs nobody", a_job(deleting=True, **RUNNING), Over),
    ("a job of the same name made again is another job", a_job(uid="job-2", **RUNNING), Over),
    ("a job that is gone needs nobody", None, Over),
]


@pytest.mark.parametrize(("job", "answer"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_admission(job: QiskitJob | None, answer: type) -> None:
    assert isinstance(admit(job, CLAIM, "pod-1"), answer)


def test_a_suspension_is_told_apart_from_a_cancellation() -> None:
    """It can be taken back, before anybody has recorded it."""
    answers = [admit(a_job(spec={what: True}, **RUNNING), CLAIM, "pod-1") for what in ("suspend", "cancel")]
    assert [getattr(answer, "reason", "") for answer in answers] == ["Suspended", "AttemptStopped"]


def a_pod(*, labels: dict[str, str], annotations: dict[str, str], owners: list[dict[str, Any]]) -> Pod:
    metadata: dict[str, Any] = {"name": "p", "namespace": "lab", "uid": "pod-1"}
    metadata |= {"labels": labels, "annotations": annotations, "ownerReferences": owners}
    return msgspec.convert({"metadata": metadata}, Pod)


OWNED = [
    {"kind": "QiskitJob", "name": "bell", "uid": "job-1", "apiVersion": "quantum.io/v1", "controller": True}
]
LABELS = {"quantum.io/job-uid": "job-1", "quantum.io/attempt": "2"}


def test_a_cold_pod_is_for_the_job_that_owns_it() -> None:
    assert assignment(a_pod(labels=LABELS, annotations={}, owners=OWNED)) == CLAIM


def test_a_warm_pod_is_for_the_job_that_claimed_it() -> None:
    claimed = a_pod(labels={}, annotations={"quantum.io/claim": "bell/job-1/2"}, owners=[])
    assert assignment(claimed) == CLAIM


@pytest.mark.parametrize(
    "pod",
    [
        a_pod(labels={}, annotations={}, owners=[]),
        a_pod(labels=LABELS, annotations={}, owners=[]),
        a_pod(labels=LABELS | {"quantum.io/attempt": "two"}, annotations={}, owners=OWNED),
        a_pod(labels={}, annotations={"quantum.io/claim": "bell"}, owners=[]),
        a_pod(labels={}, annotations={"quantum.io/claim": "bell/job-1/-2"}, owners=[]),
        a_pod(labels={}, annotations={"quantum.io/claim": "bell/job-1/" + "2" * 5000}, owners=[]),
        a_pod(labels={}, annotations={"quantum.io/claim": "bell/job-1/\N{FULLWIDTH DIGIT TWO}"}, owners=[]),
    ],
    ids=[
        "unclaimed",
        "labels without an owner",
        "no number",
        "half a claim",
        "a negative attempt",
        "more digits than Python reads",
        "another script's digit",
    ],
)
def test_other_pods_are_for_nothing(pod: Pod) -> None:
    assert assignment(pod) is None
