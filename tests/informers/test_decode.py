"""How lines and lists become lean structs (G13, G18, H2), on pods as the API server writes them."""

from __future__ import annotations

import asyncio
import json
import tracemalloc
from typing import Any

import pytest

from informers.cache import Cache
from informers.decode import SLICE, Decoder, NotACollection
from informers.events import Bookmark, Changed, ErrorEvent, Fault, Skipped, Undecodable
from informers.handlers import Audience
from informers.store import Store
from kube import PartialObject, Pod


def a_pod(number: int) -> dict[str, Any]:
    """About 7 KB, two thirds of which nobody reads."""
    uid = f"7b0f5d2c-1d2e-4c3b-9a77-{number:012d}"
    owner = {
        "apiVersion": "quantum.io/v1",
        "kind": "QiskitJob",
        "name": f"job-{number}",
        "uid": f"owner-{uid}",
        "controller": True,
        "blockOwnerDeletion": True,
    }
    fields: dict[str, Any] = {f"f:field-{n}": {".": {}, "f:inner": {}} for n in range(120)}
    condition_types = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    return {
        "metadata": {
            "name": f"job-{number}-executor-1",
            "namespace": f"team-{number % 5}",
            "uid": uid,
            "resourceVersion": str(100_000 + number),
            "creationTimestamp": "2026-08-01T10:00:00Z",
            "labels": {
                "app.kubernetes.io/managed-by": "qiskit-operator",
                "quantum.io/job-uid": f"owner-{uid}",
            },
            "annotations": {"quantum.io/deadline": "2026-08-01T11:00:00Z"},
            "ownerReferences": [owner],
            "managedFields": [{"manager": "kubelet", "operation": "Update", "fieldsV1": fields}],
        },
        "spec": {
            "nodeName": f"node-{number % 20}",
            "containers": [
                {
                    "name": "executor",
                    "image": "qiskit-operator/executor:0.1.0",
                    "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
                    "env": [{"name": f"VARIABLE_{n}", "value": "x" * 60} for n in range(20)],
                }
            ],
        },
        "status": {
            "phase": "Running",
            "podIP": "10.0.0.7",
            "conditions": [
                {
                    "type": kind,
                    "status": "True",
                    "lastProbeTime": None,
                    "lastTransitionTime": "2026-08-01T10:00:00Z",
                }
                for kind in condition_types
            ],
            "containerStatuses": [
                {
                    "name": "executor",
                    "ready": True,
                    "restartCount": 0,
                    "containerID": "containerd://" + "b" * 64,
                    "state": {"running": {"startedAt": "2026-08-01T10:00:00Z"}},
                    "lastState": {},
                }
            ],
        },
    }


def dumps(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def a_line(type: str, obj: dict[str, Any], **head: Any) -> bytes:  # noqa: A002 - Kubernetes' name
    return dumps({"type": type, "object": {"kind": "Pod", "apiVersion": "v1"} | head | obj})


def a_list(count: int) -> bytes:
    items = [a_pod(number) for number in range(count)]
    return dumps(
        {"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "7"}, "items": items}
    )


@pytest.fixture
def decoder() -> Decoder[Pod]:
    return Decoder(Pod, "Pod")


def test_a_change_is_decoded_into_the_few_fields_that_are_read(decoder: Decoder[Pod]) -> None:
    event = decoder.line(a_line("MODIFIED", a_pod(3)))
    assert isinstance(event, Changed)
    assert (event.type, event.rv) == ("MODIFIED", "100003")
    pod: Pod = event.object
    assert pod.metadata.labels["app.kubernetes.io/managed-by"] == "qiskit-operator"
    assert pod.spec.node_name == "node-3"
    assert pod.status.container_statuses[0].state.running is not None


def test_an_object_whose_kind_is_written_last_is_decoded_all_the_same(decoder: Decoder[Pod]) -> None:
    """No server writes it so today; the short cut must not depend on it."""
    usual = decoder.line(a_line("ADDED", a_pod(3)))
    unusual = decoder.line(dumps({"object": a_pod(3) | {"kind": "Pod"}, "type": "ADDED"}))
    assert usual == unusual


def test_an_owner_of_our_kind_does_not_pass_for_the_object(decoder: Decoder[Pod]) -> None:
    other = a_pod(3) | {"kind": "Gadget"}
    other["metadata"]["ownerReferences"][0]["kind"] = "Pod"
    event = decoder.line(dumps({"type": "ADDED", "object": other}))
    assert isinstance(event, Skipped)
    assert event.reason == "other kind"


def test_a_bookmark_with_the_null_fields_of_a_typed_object_is_a_bookmark(decoder: Decoder[Pod]) -> None:
    metadata = {"resourceVersion": "12", "creationTimestamp": None}
    bookmark = {"metadata": metadata, "spec": {"containers": None}, "status": {}}
    assert decoder.line(a_line("BOOKMARK", bookmark)) == Bookmark("12", False)
    metadata["annotations"] = {"k8s.io/initial-events-end": "true"}  # type: ignore[assignment]
    assert decoder.line(a_line("BOOKMARK", bookmark)) == Bookmark("12", True)


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        ({"code": 410, "reason": "Expired"}, Fault.EXPIRED),
        ({"code": 410, "reason": "Gone"}, Fault.EXPIRED),
        ({"code": 429, "reason": "TooManyRequests"}, Fault.REFUSED),
        (
            {"code": 504, "reason": "Timeout", "message": "Too large resource version: 9, current: 3"},
            Fault.TOO_LARGE,
        ),
        (
            {
                "code": 504,
                "reason": "Timeout",
                "details": {"causes": [{"reason": "ResourceVersionTooLarge"}]},
            },
            Fault.TOO_LARGE,
        ),
        ({"code": 500, "reason": "InternalError"}, Fault.OTHER),
        ({}, Fault.OTHER),
    ],
)
def test_g6_an_error_event_tells_what_to_do_next(
    decoder: Decoder[Pod], status: dict[str, Any], fault: Fault
) -> None:
    event = decoder.line(dumps({"type": "ERROR", "object": {"kind": "Status", **status}}))
    assert isinstance(event, ErrorEvent)
    assert event.fault is fault


def test_a_line_that_is_cut_off_anywhere_is_never_half_used(decoder: Decoder[Pod]) -> None:
    line = a_line("ADDED", a_pod(3))
    for length in range(0, len(line), 37):
        assert isinstance(decoder.line(line[:length]), Undecodable)


def test_an_object_that_does_not_fit_is_skipped_by_name(decoder: Decoder[Pod]) -> None:
    odd = a_pod(3) | {"status": "all is well"}
    event = decoder.line(a_line("ADDED", odd))
    assert isinstance(event, Skipped)
    assert event.reason == "unreadable object"
    assert str(event.key) == "team-3/job-3-executor-1"


async def test_the_items_of_a_list_need_no_kind_of_their_own(decoder: Decoder[Pod]) -> None:
    listed = await decoder.collection(a_list(3))
    assert [pod.metadata.name for pod in listed.objects] == [f"job-{n}-executor-1" for n in range(3)]
    assert listed.resource_version == "7"


@pytest.mark.parametrize("items", ["null", "[]"])
async def test_an_empty_list_is_a_list(decoder: Decoder[Pod], items: str) -> None:
    """Go writes null for no items."""
    body = f'{{"kind":"PodList","metadata":{{"resourceVersion":"7"}},"items":{items}}}'
    assert (await decoder.collection(body.encode())).objects == []


async def test_a_table_is_not_taken_for_an_empty_list(decoder: Decoder[Pod]) -> None:
    table = dumps({"kind": "Table", "metadata": {"resourceVersion": "7"}, "items": []})
    with pytest.raises(NotACollection, match="Table"):
        await decoder.collection(table)


async def test_h2_a_long_list_lets_other_tasks_run_while_it_is_decoded(decoder: Decoder[Pod]) -> None:
    body = a_list(8 * SLICE)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counter = asyncio.create_task(count())
    await decoder.collection(body)
    counter.cancel()
    assert turns >= 8


async def test_a_cached_pod_takes_less_than_ten_kilobytes(decoder: Decoder[Pod]) -> None:
    """With its place in the store and two indexes; nothing of the body is kept alive."""
    count = 500
    body = a_list(count)
    indexers = {
        "owner": lambda pod: [owner.uid for owner in pod.metadata.owner_references],
        "node": lambda pod: [pod.spec.node_name],
    }
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        cache = Cache[Pod](Store(indexers), Audience("pods", print))
        listed = await decoder.collection(body)
        await cache.replace(listed.objects, listed.resource_version, frozenset())
        del listed
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(cache.store) == count
    assert (after - before) / count < 10_000


async def test_a_cache_keeps_every_object_however_many(decoder: Decoder[Pod]) -> None:
    """A cache that evicts beyond 10,000 objects answers "not found" for what exists."""
    partial = Decoder(PartialObject, "PartialObjectMetadata")
    metadata = [
        {"metadata": {"name": f"o{n}", "namespace": "ns", "resourceVersion": "1"}} for n in range(12_000)
    ]
    body = dumps(
        {"kind": "PartialObjectMetadataList", "metadata": {"resourceVersion": "7"}, "items": metadata}
    )
    cache = Cache[PartialObject](Store(), Audience("objects", print))
    await cache.replace((await partial.collection(body)).objects, "7", frozenset())
    assert len(cache.store) == 12_000
