"""The whole informer with its tasks run in shuffled order (H7): handlers and cache agree whatever comes first."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

from informers import Tombstone, last_state
from tests.informers.scripted import (
    CLOSE,
    Line,
    ScriptedServer,
    Thing,
    added,
    bookmark,
    deleted,
    error,
    follow,
    listed,
    modified,
    running,
    thing,
)
from tests.informers.shuffled import run_shuffled


class Replica:
    """A consumer that rebuilds the cache from what it is told, and complains where that cannot be true."""

    def __init__(self) -> None:
        self.objects: dict[str, Thing] = {}
        self.complaints: list[str] = []

    def on_add(self, obj: Thing, initial: bool) -> None:
        if obj.metadata.name in self.objects:
            self.complaints.append(f"{obj.metadata.name} added twice")
        self.objects[obj.metadata.name] = obj

    def on_update(self, old: Thing, new: Thing) -> None:
        if self.objects.get(new.metadata.name) is not old:
            self.complaints.append(f"{new.metadata.name} updated from a state never told")
        self.objects[new.metadata.name] = new

    def on_delete(self, last: Thing | Tombstone[Thing]) -> None:
        if self.objects.pop(last_state(last).metadata.name, None) is None:
            self.complaints.append("something unknown deleted")


def a_history(rng: random.Random) -> ScriptedServer:
    """Several streams with relists between them, of one true history that goes on all the time."""
    server = ScriptedServer()
    world: dict[str, dict[str, Any]] = {}
    rv = 10
    for _ in range(5):
        server.will_list(listed(rv, *world.values()))
        lines: list[Line] = []
        for _ in range(40):
            rv += 1
            name = rng.choice("abcdefgh")
            if name in world and rng.random() < 0.3:
                del world[name]
                lines.append(deleted(name, rv))
            else:
                lines.append((modified if name in world else added)(name, rv))
                world[name] = thing(name, rv)
            if rng.random() < 0.3:
                lines.append(rng.random())
        rv += 1
        lines.append(bookmark(rv))
        for _ in range(5):
            rv += 1
            unseen = rng.choice("abcdefgh")
            world.pop(unseen, None)
        server.will_watch(*lines, 2.0, error(410, "Expired"))
    server.will_list(listed(rv, *world.values())).will_watch(1.0, CLOSE)
    return server


async def consume(rng: random.Random) -> None:
    informer = follow(a_history(rng))
    replicas: list[Replica] = []

    async def come_late() -> None:
        await asyncio.sleep(rng.random() * 60)
        replicas.append(Replica())
        informer.add_handler(replicas[-1])

    async def replay() -> None:
        for _ in range(5):
            await asyncio.sleep(rng.random() * 20)
            await informer.resync()

    async with running(informer), asyncio.TaskGroup() as tasks:
        for _ in range(10):
            tasks.create_task(come_late())
        tasks.create_task(replay())
        await asyncio.sleep(300)
    for replica in replicas:
        assert replica.complaints == []
        assert replica.objects == {obj.metadata.name: obj for obj in informer.list()}


@pytest.mark.parametrize("seed", range(8))
def test_h7_every_handler_agrees_with_the_cache_in_whatever_order_tasks_run(seed: int) -> None:
    run_shuffled(seed, consume)
