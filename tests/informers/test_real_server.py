"""The informer on a real kube-apiserver: what scripts can only assume about the protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from informers import Informer, Key, OwnWrites
from informers.metrics import NoInformerMetrics
from kube import CONFIG_MAPS, PODS, Client, PartialObject, Pod
from tests.informers.scripted import running

pytestmark = pytest.mark.cluster

DEADLINE = 30.0


async def eventually(condition: Callable[[], bool]) -> None:
    """Waits until the condition holds; the deadline is generous because machines are slow."""
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110 - the condition has no event
            await asyncio.sleep(0.01)


def a_config_map(name: str, **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {"test": "yes", **labels}}, "data": {"key": "value"}}


def config_maps(client: Client, namespace: str, **options: Any) -> Informer[PartialObject]:
    """Those that the test made; each namespace also gets one by itself."""
    options.setdefault("label_selector", "test=yes")
    return Informer(client, CONFIG_MAPS, PartialObject, namespace=namespace, **options)


def names(informer: Informer[Any]) -> list[str]:
    return sorted(obj.metadata.name for obj in informer.list())


class Requests(NoInformerMetrics):
    """Tells how the collection came in."""

    def __init__(self) -> None:
        self.initial_watches = 0
        self.problems: list[str] = []

    def watch_opened(self, initial: bool) -> None:
        self.initial_watches += initial

    def problem(self, reason: str) -> None:
        self.problems.append(reason)


@pytest.mark.parametrize("watch_list", [True, False])
@pytest.mark.parametrize("metadata_only", [True, False])
async def test_a_collection_is_cached_and_followed(
    client: Client, namespace: str, watch_list: bool, metadata_only: bool
) -> None:
    for name in ("a", "b"):
        await client.create(CONFIG_MAPS, a_config_map(name), namespace)
    requests = Requests()
    informer = config_maps(
        client, namespace, watch_list=watch_list, metadata_only=metadata_only, metrics=requests
    )
    async with running(informer):
        await asyncio.wait_for(informer.wait_synced(), DEADLINE)
        assert names(informer) == ["a", "b"]
        await client.create(CONFIG_MAPS, a_config_map("c"), namespace)
        await client.delete(CONFIG_MAPS, "a", namespace)
        await eventually(lambda: names(informer) == ["b", "c"])
    assert requests.initial_watches == watch_list
    assert requests.problems == []


async def test_g19_an_object_that_leaves_the_selector_is_deleted_and_one_that_enters_is_added(
    client: Client, namespace: str
) -> None:
    await client.create(CONFIG_MAPS, a_config_map("mover", colour="red"), namespace)
    await client.create(CONFIG_MAPS, a_config_map("stays", colour="blue"), namespace)
    informer = config_maps(client, namespace, label_selector="colour=red")
    async with running(informer):
        await asyncio.wait_for(informer.wait_synced(), DEADLINE)
        assert names(informer) == ["mover"]
        for name, colour in (("mover", "blue"), ("stays", "red")):
            patch = {"metadata": {"labels": {"colour": colour}}}
            await client.merge_patch(CONFIG_MAPS, name, patch, namespace)
        await eventually(lambda: names(informer) == ["stays"])


async def test_pods_are_decoded_into_the_lean_type(client: Client, namespace: str) -> None:
    container = {"name": "executor", "image": "none/none:1"}
    pod = {"metadata": {"name": "p"}, "spec": {"containers": [container], "nodeName": "nowhere"}}
    informer = Informer(
        client, PODS, Pod, namespace=namespace, indexers={"node": lambda pod: [pod.spec.node_name]}
    )
    async with running(informer):
        await client.create(PODS, pod, namespace)
        await eventually(lambda: informer.get(namespace, "p") is not None)
        (cached,) = informer.by_index("node", "nowhere")
        assert cached.spec.containers[0].image == "none/none:1"
        assert cached.status.phase == "Pending"


async def test_g36_own_writes_become_fresh_when_their_events_arrive(client: Client, namespace: str) -> None:
    informer = config_maps(client, namespace)
    writes = OwnWrites(informer)
    key = Key(namespace, "mine")
    async with running(informer):
        await asyncio.wait_for(informer.wait_synced(), DEADLINE)
        created = await client.create(CONFIG_MAPS, a_config_map("mine"), namespace)
        writes.wrote(key, created["metadata"]["resourceVersion"])
        for number in range(5):
            patch = {"metadata": {"annotations": {"number": str(number)}}}
            patched = await client.merge_patch(CONFIG_MAPS, "mine", patch, namespace)
            writes.wrote(key, patched["metadata"]["resourceVersion"])
        await eventually(lambda: writes.fresh(key))
        cached = informer.get(namespace, "mine")
        assert cached is not None
        assert cached.metadata.annotations == {"number": "4"}


async def test_events_of_one_watch_come_in_the_order_of_their_versions(
    client: Client, namespace: str
) -> None:
    """What "an event from the past leads to a relist" is built on."""
    requests = Requests()
    informer = config_maps(client, namespace, metrics=requests)
    async with running(informer):
        await asyncio.wait_for(informer.wait_synced(), DEADLINE)

        async def churn(number: int) -> None:
            for _ in range(5):
                await client.create(CONFIG_MAPS, a_config_map(f"c{number}"), namespace)
                await client.delete(CONFIG_MAPS, f"c{number}", namespace)

        async with asyncio.TaskGroup() as tasks:
            for number in range(8):
                tasks.create_task(churn(number))
        last = await client.create(CONFIG_MAPS, a_config_map("last"), namespace)
        await eventually(lambda: informer.get(namespace, "last") is not None)
        assert int(informer.resource_version) >= int(last["metadata"]["resourceVersion"])
    assert names(informer) == ["last"]
    assert requests.problems == []
