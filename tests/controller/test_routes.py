"""Which keys an event reaches, and which events reach none (G41, G42)."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest

from api.meta import ObjectMeta, OwnerReference
from api.names import ANNOTATION_CLAIM, LABEL_BACKEND, LABEL_JOB_UID
from api.views import QiskitBackend, QiskitJob
from controller.routes import (
    Route,
    backend_changed,
    backend_of_job,
    backend_of_pod,
    child_changed,
    job_changed,
    job_moved,
    job_of_child,
    own_key,
)
from informers import PRIORITY_INITIAL, Informer, Key, Tombstone
from kube import PartialObject, Pod


def job(name: str = "bell", **fields: Any) -> QiskitJob:
    metadata = {
        "namespace": "lab",
        "name": name,
        "uid": f"uid-{name}",
        "generation": 1,
        "resourceVersion": "1",
    }
    return msgspec.convert({**fields, "metadata": metadata | fields.get("metadata", {})}, QiskitJob)


def pod(**fields: Any) -> Pod:
    metadata = {"namespace": "lab", "name": "bell-0-1", "uid": "pod-uid", "resourceVersion": "1"}
    return msgspec.convert({**fields, "metadata": metadata | fields.get("metadata", {})}, Pod)


def owned_by(
    kind: str, name: str, api_version: str = "quantum.io/v1", controller: bool = True
) -> dict[str, Any]:
    owner = OwnerReference(api_version=api_version, kind=kind, name=name, uid="x", controller=controller)
    return {"metadata": {"ownerReferences": [msgspec.to_builtins(owner)]}}


class Jobs:
    """A cache that knows one job."""

    def by_index(self, index: str, value: str) -> list[QiskitJob]:
        return [job()] if (index, value) == ("uid", "uid-bell") else []


jobs = cast("Informer[QiskitJob]", Jobs())


class Added(list[tuple[Key, int]]):
    def __call__(self, key: Key, priority: int) -> None:
        self.append((key, priority))


BELL = Key("lab", "bell")


def test_what_was_there_at_the_start_goes_behind_what_changes() -> None:
    added = Added()
    route = Route(added, own_key, job_changed)
    route.on_add(job(), True)
    route.on_add(job(), False)
    assert added == [(BELL, PRIORITY_INITIAL), (BELL, 0)]


def test_a_resync_goes_behind_what_changes() -> None:
    added, same = Added(), job()
    Route(added, own_key, job_changed).on_update(same, same)
    assert added == [(BELL, PRIORITY_INITIAL)]


@pytest.mark.parametrize("deleted", [job(), Tombstone(BELL, job())])
def test_a_deletion_reaches_its_key_seen_or_not(deleted: QiskitJob | Tombstone[QiskitJob]) -> None:
    added = Added()
    Route(added, own_key, job_changed).on_delete(deleted)
    assert added == [(BELL, 0)]


@pytest.mark.parametrize(
    ("change", "news"),
    [
        ({"metadata": {"resourceVersion": "2"}}, False),
        ({"metadata": {"resourceVersion": "2"}, "status": {"phase": "Running"}}, False),
        ({"metadata": {"labels": {"team": "a"}}}, False),
        ({"metadata": {"generation": 2}, "spec": {"cancel": True}}, True),
        ({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}, True),
        ({"metadata": {"finalizers": ["x/y"]}}, True),
        ({"metadata": {"uid": "another"}}, True),
    ],
)
def test_a_jobs_own_status_is_no_news_to_its_reconciler(change: dict[str, Any], news: bool) -> None:
    added = Added()
    Route(added, own_key, job_changed).on_update(job(), job(**change))
    assert bool(added) is news


def test_a_jobs_phase_is_news_to_its_backend() -> None:
    old = job(spec={"backend": {"type": "local_simulator", "name": "fast"}})
    new = job(spec={"backend": {"type": "local_simulator", "name": "fast"}}, status={"phase": "Running"})
    added = Added()
    route = Route(added, backend_of_job, job_moved)
    route.on_update(old, old.__class__(metadata=old.metadata, spec=old.spec, status=old.status))
    assert added == []
    route.on_update(old, new)
    assert added == [(Key("lab", "fast"), 0)]


def test_a_job_that_names_no_backend_reaches_none() -> None:
    assert tuple(backend_of_job(job())) == ()


def test_a_backends_own_status_is_no_news_to_its_reconciler() -> None:
    old = QiskitBackend(metadata=ObjectMeta(name="fast", generation=1))
    status = msgspec.structs.replace(old.status, running=3)
    assert not backend_changed(old, msgspec.structs.replace(old, status=status))
    assert backend_changed(old, QiskitBackend(metadata=ObjectMeta(name="fast", generation=2)))


@pytest.mark.parametrize(
    ("child", "keys"),
    [
        (owned_by("QiskitJob", "bell"), [BELL]),
        (owned_by("QiskitJob", "bell", api_version="quantum.io/v2"), [BELL]),
        (owned_by("QiskitJob", "bell", api_version="example.com/v1"), []),
        (owned_by("QiskitJob", "bell", controller=False), []),
        (owned_by("Job", "bell", api_version="batch/v1"), []),
        ({"metadata": {"annotations": {ANNOTATION_CLAIM: "bell/uid-bell/2"}}}, [BELL]),
        ({"metadata": {"labels": {LABEL_JOB_UID: "uid-bell"}}}, [BELL]),
        ({"metadata": {"labels": {LABEL_JOB_UID: "uid-bell"}, "namespace": "elsewhere"}}, []),
        ({"metadata": {"labels": {LABEL_JOB_UID: "gone"}}}, []),
        ({}, []),
    ],
)
def test_a_child_reaches_the_job_that_it_belongs_to(child: dict[str, Any], keys: list[Key]) -> None:
    assert list(job_of_child(jobs)(pod(**child))) == keys
    metadata = msgspec.convert(msgspec.to_builtins(pod(**child))["metadata"], ObjectMeta)
    assert list(job_of_child(jobs)(PartialObject(metadata=metadata))) == keys


def test_a_warm_pod_that_is_claimed_reaches_its_backend_and_its_job() -> None:
    warm = owned_by("QiskitBackend", "fast")
    warm["metadata"]["annotations"] = {ANNOTATION_CLAIM: "bell/uid-bell/1"}
    assert list(backend_of_pod(pod(**warm))) == [Key("lab", "fast")]
    assert list(job_of_child(jobs)(pod(**warm))) == [BELL]


def test_an_executor_reaches_the_backend_on_its_label() -> None:
    assert list(backend_of_pod(pod(metadata={"labels": {LABEL_BACKEND: "fast"}}))) == [Key("lab", "fast")]
    assert list(backend_of_pod(pod())) == []


@pytest.mark.parametrize(
    ("change", "news"),
    [
        ({"metadata": {"resourceVersion": "2"}}, False),
        ({"metadata": {"annotations": {ANNOTATION_CLAIM: "a/b/1"}}}, True),
        ({"status": {"phase": "Running"}}, True),
        ({"status": {"containerStatuses": [{"name": "executor", "ready": True}]}}, True),
        ({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}, True),
    ],
)
def test_a_childs_update_counts_if_anything_that_is_read_has_changed(
    change: dict[str, Any], news: bool
) -> None:
    assert child_changed(pod(), pod(**change)) is news


def test_a_child_that_changes_hands_reaches_both_jobs() -> None:
    added = Added()
    before = pod(metadata={"annotations": {ANNOTATION_CLAIM: "one/u/1"}})
    after = pod(metadata={"annotations": {ANNOTATION_CLAIM: "two/u/1"}})
    Route(added, job_of_child(jobs), child_changed).on_update(before, after)
    assert set(added) == {(Key("lab", "one"), 0), (Key("lab", "two"), 0)}
