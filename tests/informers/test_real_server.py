"""The informer on a real kube-apiserver: what scripts can only assume about the protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from informers import Backoff, Informer, Key, OwnWrites, Tombstone, is_replaced
from informers.decode import Decoder
from informers.events import ErrorEvent, Fault
from informers.metrics import NoInformerMetrics
from informers.timing import loop_clock
from kube import CONFIG_MAPS, PODS, QISKIT_JOBS, Client, PartialObject, Pod
from tests.faults.proxy import FaultProxy
from tests.faults.rules import Answer, Matching, Refuse
from tests.informers.scripted import NoJitter, running

pytestmark = pytest.mark.cluster

DEADLINE = 90.0


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


class Told:
    """What a consumer has been told of since the last look."""

    def __init__(self) -> None:
        self.entries: list[str] = []

    def on_add(self, obj: PartialObject, initial: bool) -> None:
        self.entries.append(f"add {obj.metadata.name}")

    def on_update(self, old: PartialObject, new: PartialObject) -> None:
        self.entries.append(f"{'replace' if is_replaced(old, new) else 'update'} {new.metadata.name}")

    def on_delete(self, last: PartialObject | Tombstone[PartialObject]) -> None:
        unseen = isinstance(last, Tombstone)
        name = last.key.name if isinstance(last, Tombstone) else last.metadata.name
        self.entries.append(f"delete {name}{' unseen' if unseen else ''}")


@pytest.mark.parametrize("watch_list", [True, False], ids=["watch-list", "list"])
@pytest.mark.parametrize("forgotten", [False, True], ids=["resumed", "relisted"])
async def test_g7_what_happened_while_nobody_could_be_reached_is_told_afterwards(
    client: Client, fault_proxy: FaultProxy, namespace: str, forgotten: bool, watch_list: bool
) -> None:
    """Deleted, recreated, created, changed: by the watch that is resumed, or by a relist if that is too late."""
    for name in ("changed", "deleted", "kept", "recreated"):
        await client.create(CONFIG_MAPS, a_config_map(name), namespace)
    async with Client(fault_proxy.configuration, user_agent="test") as proxied:
        informer = config_maps(
            proxied,
            namespace,
            watch_list=watch_list,
            backoff=Backoff(loop_clock, NoJitter(), first=0.05, longest=0.1),
        )
        async with running(informer):
            await asyncio.wait_for(informer.wait_synced(), DEADLINE)
            told = Told()
            informer.add_handler(told)
            told.entries.clear()
            fault_proxy.faults.add(Refuse())
            fault_proxy.cut_all()
            await client.delete(CONFIG_MAPS, "deleted", namespace)
            await client.delete(CONFIG_MAPS, "recreated", namespace)
            await client.create(CONFIG_MAPS, a_config_map("recreated"), namespace)
            await client.merge_patch(CONFIG_MAPS, "changed", {"data": {"key": "other"}}, namespace)
            await client.create(CONFIG_MAPS, a_config_map("created"), namespace)
            assert told.entries == []
            fault_proxy.faults.clear()
            if forgotten:
                fault_proxy.faults.add(Answer(410, "Expired"), when=Matching(watch=True), times=1)
            await eventually(lambda: "add created" in told.entries)
            assert names(informer) == ["changed", "created", "kept", "recreated"]
    if forgotten:
        relisted = ["add created", "delete deleted unseen", "replace recreated", "update changed"]
        assert sorted(told.entries) == relisted
    else:
        seen = ["delete deleted", "delete recreated", "add recreated", "update changed", "add created"]
        assert told.entries == seen


@pytest.mark.usefixtures("crds")
async def test_g6_the_servers_own_words_for_a_version_that_it_does_not_know_any_more(
    client: Client, namespace: str
) -> None:
    """A version from before the definition was installed: the server keeps nothing from then."""
    await client.list(QISKIT_JOBS, namespace, resource_version="0")  # waits until its watch cache is filled
    source = client.watch(QISKIT_JOBS, namespace, resource_version="1", timeout_seconds=30)
    decoder = Decoder(PartialObject, QISKIT_JOBS.kind)
    async with source as lines, asyncio.timeout(DEADLINE):
        events = [decoder.line(line) async for line in lines]
    (event,) = events
    assert isinstance(event, ErrorEvent)
    assert event.fault is Fault.EXPIRED
