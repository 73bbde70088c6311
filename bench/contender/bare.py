"""The least that does the work at all: one client, no cache, no queue discipline, no retries.

It makes the same writes with as many requests under way, and drains the same two watches, since the API server
pays for those too. Nothing that keeps promises can be faster.
"""

from __future__ import annotations

import argparse
import asyncio
import gc

import msgspec

from bench.contender.harness import Journal, configuration, run
from bench.sample import DONE_PATCH, SAMPLES, SELECTOR, Sample, child
from kube import CONFIG_MAPS, Client


class _List(msgspec.Struct):
    metadata: dict[str, str | int]
    items: list[Sample]


class _Event(msgspec.Struct):
    type: str
    object: Sample


async def work(options: argparse.Namespace, journal: Journal) -> None:
    """Do the samples that are there, then those that come."""
    namespace = options.namespace
    todo: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    async with Client(configuration(options), user_agent="bench-bare") as client:
        listed = msgspec.json.decode(await client.list(SAMPLES, namespace), type=_List)
        for sample in listed.items:
            if sample.status.phase != "Done":
                todo.put_nowait((sample.metadata.name, sample.metadata.uid))
        version = str(listed.metadata["resourceVersion"])

        async def follow() -> None:
            async with client.watch(
                SAMPLES, namespace, resource_version=version, timeout_seconds=3600, allow_bookmarks=False
            ) as lines:
                async for line in lines:
                    event = msgspec.json.decode(line, type=_Event)
                    if event.type == "ADDED":
                        todo.put_nowait((event.object.metadata.name, event.object.metadata.uid))

        async def drain() -> None:
            async with client.watch(
                CONFIG_MAPS,
                namespace,
                label_selector=SELECTOR,
                timeout_seconds=3600,
                allow_bookmarks=False,
                metadata_only=True,
            ) as lines:
                async for _ in lines:
                    pass

        async def worker() -> None:
            while True:
                name, uid = await todo.get()
                journal.begin(name)
                await client.create(CONFIG_MAPS, child(name, uid), namespace, type=msgspec.Raw)
                journal.post(name)
                await client.merge_patch(
                    SAMPLES, name, DONE_PATCH, namespace, subresource="status", type=msgspec.Raw
                )
                journal.finish(name)

        gc.collect()
        gc.freeze()
        async with asyncio.TaskGroup() as group:
            group.create_task(follow())
            group.create_task(drain())
            for _ in range(options.workers):
                group.create_task(worker())


if __name__ == "__main__":
    run(work)
