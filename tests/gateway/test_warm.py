"""Pods of a pool at the executors' door: they wait there, and are seen to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from api.names import ANNOTATION_CLAIM, ANNOTATION_WARM_SINCE
from gateway import Gateway, GatewaySettings
from informers.informer import Informer
from kube import PODS, Client, Pod, ServiceUnavailable
from messages.work import WorkOrder
from tests.gateway.world import DIGEST, SETTINGS, World, following
from tests.reconcilers.operating import WatchedClient, eventually

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("crds")]


class Held(WatchedClient):
    """A client whose patches of pods are done, and not answered until the test says so."""

    def __init__(self, inner: Client) -> None:
        super().__init__(inner)
        self.go_on = asyncio.Event()

    async def raw(self, method: str, path: str, **options: Any) -> bytes:
        answer = await super().raw(method, path, **options)
        if method == "PATCH" and "/pods/" in path:
            await self.go_on.wait()
        return answer


@asynccontextmanager
async def gateway_of(client: Client, namespace: str) -> AsyncIterator[tuple[World, Informer[Pod]]]:
    """A gateway that writes through `client`."""
    settings = GatewaySettings(namespace, "127.0.0.1", 0, SETTINGS)
    async with following(client, namespace) as (jobs, backends, pods):
        gateway = Gateway(client, jobs, backends, pods, settings, time.monotonic)
        await gateway.start()
        try:
            yield World(client, namespace, gateway), pods
        finally:
            await gateway.stop()


async def record(world: World, pod: dict[str, Any], name: str) -> dict[str, Any]:
    """A job whose executor the pod is, and the patch that gives the pod to it."""
    job = await world.job(name)
    await world.status(
        name, phase="Running", attempt=1, jobId=pod["metadata"]["uid"], source={"hash": DIGEST}
    )
    return {"metadata": {"annotations": {ANNOTATION_CLAIM: f"{name}/{job['metadata']['uid']}/1"}}}


async def noted(client: Client, namespace: str, name: str) -> str | None:
    pod = await client.get(PODS, name, namespace, type=Pod)
    return pod.metadata.annotations.get(ANNOTATION_WARM_SINCE)


async def test_the_first_call_shows_that_a_pod_waits_and_its_claim_ends_the_wait(world: World) -> None:
    pod = await world.warm_pod("warm")
    token = await world.token(pod)
    async with asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(world.call("GET", "/v1/work", token))
        await eventually(lambda: noted(world.client, world.namespace, "warm"))
        claim = await record(world, pod, "bell")
        await world.client.merge_patch(PODS, "warm", claim, world.namespace)
    assert asked.result().read(WorkOrder).job_name == "bell"


async def test_a_claim_made_while_the_pod_is_being_noted_is_not_missed(
    client: Client, namespace: str
) -> None:
    """The leader may see the note, and give the pod away, before the gateway has the answer to its write."""
    held = Held(client)
    async with gateway_of(held, namespace) as (world, pods):
        pod = await world.warm_pod("warm")
        claim = await record(world, pod, "bell")
        token = await world.token(pod)

        async def seen() -> bool:
            known = pods.get(namespace, "warm")
            return known is not None and ANNOTATION_CLAIM in known.metadata.annotations

        async with asyncio.timeout(20), asyncio.TaskGroup() as tasks:
            asked = tasks.create_task(world.call("GET", "/v1/work", token))
            await eventually(lambda: noted(client, namespace, "warm"))
            await client.merge_patch(PODS, "warm", claim, namespace)
            await eventually(seen)
            held.go_on.set()
            assert (await asked).read(WorkOrder).job_name == "bell"


async def test_a_note_that_cannot_be_written_costs_no_executor_its_call(
    client: Client, namespace: str
) -> None:
    tried = asyncio.Event()

    def fail(method: str, path: str) -> None:
        if method == "PATCH" and "/pods/" in path:
            tried.set()
            raise ServiceUnavailable(503, "ServiceUnavailable", "etcd is busy")

    failing = WatchedClient(client)
    failing.before = fail
    async with gateway_of(failing, namespace) as (world, _):
        pod = await world.warm_pod("warm")
        claim = await record(world, pod, "bell")
        token = await world.token(pod)
        async with asyncio.TaskGroup() as tasks:
            asked = tasks.create_task(world.call("GET", "/v1/work", token))
            await tried.wait()
            await client.merge_patch(PODS, "warm", claim, namespace)
        assert asked.result().read(WorkOrder).job_name == "bell"


async def test_it_is_noted_once_and_only_on_pods_of_a_pool(client: Client, namespace: str) -> None:
    watched = WatchedClient(client)
    async with gateway_of(watched, namespace) as (world, _):
        _, own, token = await world.running("own")
        assert (await world.call("GET", "/v1/work", token)).status == 200
        assert await noted(client, namespace, own["metadata"]["name"]) is None
        pod = await world.warm_pod("warm")
        claim = await record(world, pod, "bell")
        token = await world.token(pod)
        async with asyncio.TaskGroup() as tasks:
            asked = tasks.create_task(world.call("GET", "/v1/work", token))
            first = await eventually(lambda: noted(client, namespace, "warm"))
            await client.merge_patch(PODS, "warm", claim, namespace)
        assert asked.result().status == 200
        assert (await world.call("GET", "/v1/work", token)).status == 200, "it may ask again"
        assert await noted(client, namespace, "warm") == first
        assert len([said for said in watched.written("pods/warm") if said.startswith("PATCH")]) == 1
