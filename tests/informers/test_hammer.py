"""Informer and queue hammered on the real API server through a proxy that lies, loses and cuts (G14, G24).

Changes go to the server directly; what the informer sees goes through the proxy. What is asserted:
in the end cache and workers agree with the server, and on the way no key had two workers and no object went
back in time.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter

import msgspec
import pytest

from informers import Backoff, Informer, Key, ShutDown, Tombstone, WorkQueue, key_of, last_state
from informers.timing import loop_clock
from kube import CONFIG_MAPS, AlreadyExists, Client, NotFound, PartialObject
from tests.faults.proxy import FaultProxy
from tests.faults.rules import (
    Answer,
    BeforeRequest,
    Cut,
    Delay,
    Drop,
    Duplicate,
    DuringWatch,
    End,
    ErrorEvent,
    Faults,
    Garbage,
    Matching,
    Refuse,
    StaleList,
)
from tests.informers.mutation import MutationDetector
from tests.informers.scripted import running

pytestmark = pytest.mark.cluster

DEADLINE = 60.0
NAMES = [f"c{number}" for number in range(12)]
WORKERS = 4


def lie_and_lose(faults: Faults, *, stale: bool) -> None:
    """Every fault that leaves the informer a way to find out.

    Stale lists and expired versions never come together: after a 410 the informer asks for the latest state,
    and has to believe whatever it gets.
    """
    in_watch: list[tuple[DuringWatch, float]] = [
        (Drop(), 0.04),
        (Duplicate(), 0.06),
        (Delay(0.05), 0.04),
        (Cut(), 0.04),
        (Cut(half=True), 0.03),
        (End(), 0.04),
        (ErrorEvent(500, "InternalError"), 0.03),
        (ErrorEvent(429, "TooManyRequests"), 0.02),
        (Garbage(), 0.02),
    ]
    at_watch: list[tuple[BeforeRequest, float]] = [
        (Refuse(), 0.10),
        (Answer(429, "TooManyRequests"), 0.05),
        (Answer(502, html=True), 0.05),
        (Answer(500, "InternalError"), 0.05),
    ]
    at_list: list[tuple[BeforeRequest, float]] = [(Refuse(), 0.10), (Answer(502, html=True), 0.05)]
    if stale:
        at_list.append((StaleList(), 0.3))
    else:
        in_watch.append((ErrorEvent(410, "Expired"), 0.04))
        at_watch.append((Answer(410, "Expired"), 0.05))
        at_list.append((Answer(410, "Expired"), 0.10))
    for fault, probability in in_watch:
        faults.add(fault, when=Matching(watch=True), probability=probability)
    for refusal, probability in at_watch:
        faults.add(refusal, when=Matching(watch=True), probability=probability)
    for refusal, probability in at_list:
        faults.add(refusal, when=Matching(method="GET", watch=False), probability=probability)


async def change_at_random(client: Client, namespace: str, rng: random.Random, count: int) -> None:
    """Creates, patches and deletes; what is there or gone already is no matter."""
    for number in range(count):
        name = rng.choice(NAMES)
        with contextlib.suppress(AlreadyExists, NotFound):
            match rng.randrange(4):
                case 0 | 1:
                    labels = {"hammer": "yes", "colour": rng.choice(["red", "blue"])}
                    await client.create(
                        CONFIG_MAPS, {"metadata": {"name": name, "labels": labels}}, namespace
                    )
                case 2:
                    patch = {"metadata": {"annotations": {"number": str(number)}}}
                    if rng.random() < 0.3:
                        patch["metadata"]["labels"] = {"hammer": rng.choice(["yes", "no"])}
                    await client.merge_patch(CONFIG_MAPS, name, patch, namespace)
                case _:
                    await client.delete(CONFIG_MAPS, name, namespace)


class Workers:
    """Level-based reconcilers: each pass writes down the version of the key that the cache shows."""

    def __init__(self, informer: Informer[PartialObject], rng: random.Random) -> None:
        self.queue = WorkQueue[Key]()
        self.written: dict[Key, str] = {}
        self._informer = informer
        self._rng = rng
        self._in_hands: Counter[Key] = Counter()
        informer.add_handler(self)

    def on_add(self, obj: PartialObject, initial: bool) -> None:
        self.queue.add(key_of(obj), -100 if initial else 0)

    def on_update(self, old: PartialObject, new: PartialObject) -> None:
        self.queue.add(key_of(new))

    def on_delete(self, last: PartialObject | Tombstone[PartialObject]) -> None:
        self.queue.add(key_of(last_state(last)))

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(WORKERS):
                tasks.create_task(self._work())

    async def _work(self) -> None:
        while True:
            try:
                key = await self.queue.get()
            except ShutDown:
                return
            self._in_hands[key] += 1
            assert self._in_hands[key] == 1, f"two workers on {key}"
            await self._reconcile(key)
            self._in_hands[key] -= 1
            self.queue.done(key)

    async def _reconcile(self, key: Key) -> None:
        obj = self._informer.get(*key)
        await asyncio.sleep(self._rng.random() * 0.01)
        if self._rng.random() < 0.2:
            self.queue.add_rate_limited(key)
            return
        self.queue.forget(key)
        if obj is None:
            self.written.pop(key, None)
        else:
            self.written[key] = obj.metadata.resource_version


class History:
    """A handler that notices when an object's states come in another order than the server's (G14)."""

    def __init__(self) -> None:
        self.steps_back: list[str] = []
        self._latest: dict[Key, int] = {}

    def on_add(self, obj: PartialObject, initial: bool) -> None:
        self._note(obj)

    def on_update(self, old: PartialObject, new: PartialObject) -> None:
        self._note(new)

    def on_delete(self, last: PartialObject | Tombstone[PartialObject]) -> None:
        self._note(last_state(last))

    def _note(self, obj: PartialObject) -> None:
        version, latest = int(obj.metadata.resource_version), self._latest.get(key_of(obj), 0)
        if version < latest:
            self.steps_back.append(f"{obj.metadata.name}: {version} after {latest}")
        self._latest[key_of(obj)] = max(version, latest)


class Items(msgspec.Struct):
    items: list[PartialObject]


async def on_the_server(client: Client, namespace: str) -> dict[Key, str]:
    body = await client.list(CONFIG_MAPS, namespace, label_selector="hammer=yes")
    return {key_of(obj): obj.metadata.resource_version for obj in msgspec.json.decode(body, type=Items).items}


async def hammer(
    client: Client,
    proxy: FaultProxy,
    namespace: str,
    *,
    seed: int,
    watch_list: bool,
    stale: bool = False,
    changes: int,
) -> None:
    rng = random.Random(seed)
    proxy.faults.seed = seed
    proxy.faults.__post_init__()
    async with Client(proxy.configuration, user_agent="hammer") as lied_to:
        informer = Informer(
            lied_to,
            CONFIG_MAPS,
            PartialObject,
            namespace=namespace,
            label_selector="hammer=yes",
            watch_list=watch_list,
            indexers={"colour": lambda obj: [obj.metadata.labels.get("colour", "none")]},
            backoff=Backoff(loop_clock, rng, first=0.002, longest=0.02),
        )
        workers = Workers(informer, rng)
        detector, history = MutationDetector(informer), History()
        informer.add_handler(history)
        async with running(informer), asyncio.timeout(DEADLINE), asyncio.TaskGroup() as tasks:
            tasks.create_task(workers.run())
            lie_and_lose(proxy.faults, stale=stale)
            async with asyncio.TaskGroup() as changers:
                for _ in range(3):
                    changers.create_task(change_at_random(client, namespace, rng, changes))
            proxy.faults.clear()
            proxy.cut_all()
            await relist(client, proxy, namespace)
            truth = await on_the_server(client, namespace)
            while cached(informer) != truth or workers.written != truth:  # noqa: ASYNC110 - has no event
                await asyncio.sleep(0.02)
            await workers.queue.drain()
        detector.check()
        assert history.steps_back == []
        assert cached(informer) == truth
        for colour in ("red", "blue"):
            indexed = informer.by_index("colour", colour)
            assert all(obj.metadata.labels["colour"] == colour for obj in indexed)
        assert len(informer.by_index("colour", "red")) + len(informer.by_index("colour", "blue")) == len(
            truth
        )


def cached(informer: Informer[PartialObject]) -> dict[Key, str]:
    return {key_of(obj): obj.metadata.resource_version for obj in informer.list()}


async def relist(client: Client, proxy: FaultProxy, namespace: str) -> None:
    """An event that the proxy dropped is known to nobody until the next list: a 410 at the next event."""
    rule = proxy.faults.add(ErrorEvent(410, "Expired"), times=1)
    number = 0
    while not rule.acted:
        number += 1
        body = {"metadata": {"name": f"last-{number}", "labels": {"hammer": "yes", "colour": "red"}}}
        await client.create(CONFIG_MAPS, body, namespace)
        await asyncio.sleep(0.1)


@pytest.mark.parametrize("watch_list", [True, False], ids=["watch-list", "list"])
@pytest.mark.parametrize("seed", [1, 2])
async def test_cache_and_workers_converge_whatever_the_watch_loses(
    client: Client, fault_proxy: FaultProxy, namespace: str, seed: int, watch_list: bool
) -> None:
    await hammer(client, fault_proxy, namespace, seed=seed, watch_list=watch_list, changes=150)


@pytest.mark.parametrize("seed", [3, 4])
async def test_no_object_ever_goes_back_in_time_whatever_lists_are_stale(
    client: Client, fault_proxy: FaultProxy, namespace: str, seed: int
) -> None:
    await hammer(client, fault_proxy, namespace, seed=seed, watch_list=False, stale=True, changes=150)


@pytest.mark.chaos
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(
    ("watch_list", "stale"),
    [(True, False), (False, False), (False, True)],
    ids=["watch-list", "list", "stale"],
)
@pytest.mark.parametrize("seed", range(100, 110))
async def test_cache_and_workers_converge_over_many_more_seeds(
    client: Client, fault_proxy: FaultProxy, namespace: str, seed: int, watch_list: bool, stale: bool
) -> None:
    await hammer(client, fault_proxy, namespace, seed=seed, watch_list=watch_list, stale=stale, changes=300)
