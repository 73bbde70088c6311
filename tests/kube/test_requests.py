"""Requests on the real API server: verbs, preconditions, typed errors, and what happens when it misbehaves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from kube import (
    CONFIG_MAPS,
    LEASES,
    NAMESPACES,
    PODS,
    QISKIT_JOBS,
    SERVICE_ACCOUNTS,
    AlreadyExists,
    BadAnswer,
    BadRequest,
    Client,
    Conflict,
    DeadlineExceeded,
    Forbidden,
    InternalError,
    Invalid,
    NotFound,
    PartialObject,
    TooLarge,
    TooManyRequests,
    Unreachable,
    VersionTooLarge,
)
from tests.faults.proxy import FaultProxy
from tests.faults.rules import Answer, Matching, Refuse, Silence

pytestmark = pytest.mark.cluster


class Sleeps:
    """A sleep that takes no time and remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)
        await asyncio.sleep(0)


@pytest.fixture
def sleeps() -> Sleeps:
    return Sleeps()


@pytest.fixture
async def proxied(fault_proxy: FaultProxy, sleeps: Sleeps) -> AsyncIterator[Client]:
    async with Client(fault_proxy.configuration, user_agent="test", sleep=sleeps) as client:
        yield client


def config_map(name: str, **data: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


async def test_an_object_lives_from_create_to_delete(client: Client, namespace: str) -> None:
    created = await client.create(CONFIG_MAPS, config_map("life", a="1"), namespace)
    assert (await client.get(CONFIG_MAPS, "life", namespace))["data"] == {"a": "1"}
    patched = await client.merge_patch(CONFIG_MAPS, "life", {"data": {"a": None, "b": "2"}}, namespace)
    assert patched["data"] == {"b": "2"}
    operations = [{"op": "replace", "path": "/data/b", "value": "3"}]
    assert (await client.json_patch(CONFIG_MAPS, "life", operations, namespace))["data"] == {"b": "3"}
    applied = await client.apply(
        CONFIG_MAPS, "life", config_map("life", c="4"), namespace, field_manager="test"
    )
    assert applied["data"] == {"b": "3", "c": "4"}
    seen = await client.list_items(
        CONFIG_MAPS, namespace, type=PartialObject, field_selector="metadata.name=life"
    )
    assert [found.metadata.uid for found in seen] == [created["metadata"]["uid"]]
    await client.delete(CONFIG_MAPS, "life", namespace)
    with pytest.raises(NotFound):
        await client.get(CONFIG_MAPS, "life", namespace)


async def test_each_refusal_has_its_own_class(client: Client, namespace: str) -> None:
    created = await client.create(CONFIG_MAPS, config_map("one"), namespace)
    with pytest.raises(AlreadyExists):
        await client.create(CONFIG_MAPS, config_map("one"), namespace)
    with pytest.raises(Invalid, match=r"metadata\.name"):
        await client.create(CONFIG_MAPS, config_map("No Name"), namespace)
    with pytest.raises(NotFound) as missing:
        await client.get(CONFIG_MAPS, "two", namespace)
    assert missing.value.details["name"] == "two"
    with pytest.raises(BadRequest):
        await client.create(CONFIG_MAPS, b"{", namespace)
    stale = {"metadata": {"resourceVersion": "1"}, "data": {"x": "y"}}
    with pytest.raises(Conflict):
        await client.merge_patch(CONFIG_MAPS, "one", stale, namespace)
    with pytest.raises(Conflict):
        await client.delete(CONFIG_MAPS, "one", namespace, uid="another")
    await client.delete(CONFIG_MAPS, "one", namespace, uid=created["metadata"]["uid"])
    with pytest.raises(Forbidden, match="being terminated"):
        await _into_terminating(client)


async def test_what_etcd_finds_too_large_is_no_failure_of_the_server(client: Client, namespace: str) -> None:
    for size in (1_700_000, 4_000_000):
        lease = {"metadata": {"name": "big"}, "spec": {"holderIdentity": "x" * size}}
        with pytest.raises(TooLarge):
            await client.create(LEASES, lease, namespace)


@pytest.mark.usefixtures("crds")
async def test_a_custom_resource_takes_every_kind_of_patch(client: Client, namespace: str) -> None:
    """Clients that pick the content type by the resource are answered 415 here."""
    job = {
        "apiVersion": QISKIT_JOBS.api_version,
        "kind": QISKIT_JOBS.kind,
        "metadata": {"name": "bell"},
        "spec": {
            "circuit": {"source": "inline", "code": "OPENQASM 3.0;"},
            "backend": {"type": "local_simulator"},
        },
    }
    created = await client.create(QISKIT_JOBS, job, namespace)
    merge = {"metadata": {"labels": {"a": "1", "resource": "x"}}}
    operations = [{"op": "remove", "path": "/metadata/labels/resource"}]
    fields = {"apiVersion": job["apiVersion"], "kind": job["kind"], "metadata": {"labels": {"b": "2"}}}
    await client.merge_patch(QISKIT_JOBS, "bell", merge, namespace)
    await client.json_patch(QISKIT_JOBS, "bell", operations, namespace)
    applied = await client.apply(QISKIT_JOBS, "bell", fields, namespace, field_manager="test")
    assert applied["metadata"]["labels"] == {"a": "1", "b": "2"}
    version = applied["metadata"]["resourceVersion"]
    status = {"metadata": {"resourceVersion": version}, "status": {"phase": "Scheduling"}}
    patched = await client.merge_patch(QISKIT_JOBS, "bell", status, namespace, subresource="status")
    assert patched["status"]["phase"] == "Scheduling"
    assert patched["metadata"]["generation"] == created["metadata"]["generation"]
    with pytest.raises(Conflict):
        await client.merge_patch(QISKIT_JOBS, "bell", status, namespace, subresource="status")


@pytest.mark.usefixtures("crds")
async def test_a_watch_can_begin_with_what_is_there_of_a_custom_resource(
    client: Client, namespace: str
) -> None:
    async with client.watch(
        QISKIT_JOBS, namespace, timeout_seconds=30, send_initial_events=True, resource_version=""
    ) as events:
        first = msgspec.json.decode(await anext(events))
    assert first["type"] == "BOOKMARK"
    assert first["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


async def _into_terminating(client: Client) -> None:
    """A namespace that is held by a finalizer while it is being deleted refuses what is new."""
    body = {
        "metadata": {"generateName": "ending-"},
        "spec": {"finalizers": ["test.example/hold", "kubernetes"]},
    }
    name = (await client.create(NAMESPACES, body))["metadata"]["name"]
    await client.delete(NAMESPACES, name)
    await client.create(CONFIG_MAPS, config_map("late"), name)


async def test_metadata_alone_is_listed_without_the_rest(client: Client, namespace: str) -> None:
    await client.create(CONFIG_MAPS, config_map("big", text="x" * 10_000), namespace)
    raw = await client.list(CONFIG_MAPS, namespace, metadata_only=True)
    assert b"PartialObjectMetadataList" in raw
    assert b"x" * 100 not in raw


async def test_g45_a_wait_that_the_server_asks_for_is_kept(
    proxied: Client, fault_proxy: FaultProxy, sleeps: Sleeps, namespace: str
) -> None:
    fault_proxy.faults.add(Answer(429, "TooManyRequests", retry_after=3), times=2)
    fault_proxy.faults.add(Answer(503, "ServiceUnavailable", retry_after=1), times=1)
    created = await proxied.create(CONFIG_MAPS, config_map("patient"), namespace)
    assert created["metadata"]["name"] == "patient"
    assert sleeps.asked == [3, 3, 1]


async def test_g45_patience_ends_after_ten_waits(
    proxied: Client, fault_proxy: FaultProxy, sleeps: Sleeps, namespace: str
) -> None:
    fault_proxy.faults.add(Answer(429, "TooManyRequests", retry_after=1))
    with pytest.raises(TooManyRequests):
        await proxied.get(CONFIG_MAPS, "any", namespace)
    assert len(sleeps.asked) == 10


async def test_g45_without_retry_after_nothing_is_sent_again(
    proxied: Client, fault_proxy: FaultProxy, sleeps: Sleeps, namespace: str
) -> None:
    fault_proxy.faults.add(Answer(500, "InternalError"), times=1)
    with pytest.raises(InternalError):
        await proxied.create(CONFIG_MAPS, config_map("once"), namespace)
    assert sleeps.asked == []
    assert len(fault_proxy.seen) == 1


async def test_g1_a_version_that_the_server_has_not_reached_is_refused_once(
    proxied: Client, fault_proxy: FaultProxy, sleeps: Sleeps, namespace: str
) -> None:
    with pytest.raises(VersionTooLarge):
        await proxied.list(CONFIG_MAPS, namespace, resource_version="999999999999")
    assert sleeps.asked == []
    assert len(fault_proxy.seen) == 1


async def test_a_proxys_html_is_an_error_and_never_an_object(
    proxied: Client, fault_proxy: FaultProxy, namespace: str
) -> None:
    fault_proxy.faults.add(Answer(502, html=True))
    with pytest.raises(InternalError, match="Bad gateway") as caught:
        await proxied.get(CONFIG_MAPS, "any", namespace)
    assert caught.value.status == 502
    fault_proxy.faults.clear()
    fault_proxy.faults.add(Answer(200, html=True))
    with pytest.raises(BadAnswer, match="Bad gateway"):
        await proxied.get(CONFIG_MAPS, "any", namespace)


async def test_a_cut_connection_says_that_nobody_answered(
    proxied: Client, fault_proxy: FaultProxy, client: Client, namespace: str
) -> None:
    fault_proxy.faults.add(Refuse(carried_out=True), when=Matching(method="POST"), times=1)
    with pytest.raises(Unreachable):
        await proxied.create(CONFIG_MAPS, config_map("done"), namespace)
    # It was carried out all the same: whoever gets Unreachable has to look before it tries again.
    assert (await client.get(CONFIG_MAPS, "done", namespace))["metadata"]["name"] == "done"


async def test_every_call_has_a_deadline(proxied: Client, fault_proxy: FaultProxy, namespace: str) -> None:
    fault_proxy.faults.add(Silence())
    with pytest.raises(DeadlineExceeded):
        await proxied.get(CONFIG_MAPS, "any", namespace, timeout=0.2)


async def test_watches_do_not_take_connections_from_requests(proxied: Client, namespace: str) -> None:
    async with asyncio.TaskGroup() as tasks:
        opened = asyncio.Semaphore(0)
        close = asyncio.Event()

        async def watch() -> None:
            async with proxied.watch(CONFIG_MAPS, namespace, timeout_seconds=60):
                opened.release()
                await close.wait()

        for _ in range(100):
            tasks.create_task(watch())
        for _ in range(100):
            await opened.acquire()
        await proxied.list(CONFIG_MAPS, namespace, timeout=10)
        close.set()


async def test_a_token_is_known_by_its_audience_and_its_pod(client: Client, namespace: str) -> None:
    token = await client.raw(
        "POST",
        SERVICE_ACCOUNTS.path(namespace, "default", "token"),
        body=msgspec.json.encode({"spec": {"audiences": ["a-door"], "expirationSeconds": 600}}),
    )
    text = msgspec.json.decode(token)["status"]["token"]
    known = await client.review_token(text, ["a-door"])
    assert known.authenticated
    assert known.username == f"system:serviceaccount:{namespace}:default"
    assert not (await client.review_token(text, ["another-door"])).authenticated
    assert not (await client.review_token("nonsense", ["a-door"])).authenticated


async def test_logs_of_a_pod_that_is_not_there_are_not_found(client: Client, namespace: str) -> None:
    with pytest.raises(NotFound):
        await client.pod_logs("nobody", namespace)


def test_paths_are_those_of_the_api() -> None:
    assert PODS.path("ns", "p", "log") == "/api/v1/namespaces/ns/pods/p/log"
    assert PODS.path() == "/api/v1/pods"
    assert NAMESPACES.path(None, "a/b") == "/api/v1/namespaces/a%2Fb"


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_no_name_makes_a_path_that_of_something_else(name: str) -> None:
    """An empty one would turn a delete of one object into one of all."""
    with pytest.raises(Invalid):
        PODS.path("ns", name)
    with pytest.raises(Invalid):
        PODS.path(name, "pod")


async def test_a_name_out_of_a_spec_stays_a_name(client: Client, namespace: str) -> None:
    for name in ("../secrets/token", "a?b=c", "a#b", "%2e%2e", "../..", "a b"):
        with pytest.raises((NotFound, BadRequest)):
            await client.get(CONFIG_MAPS, name, namespace)
