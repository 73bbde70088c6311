"""Jobs by the least that makes the operator's writes: it drains the same watches and decides nothing."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import msgspec

from api.meta import ObjectMeta
from api.names import LABEL_JOB_NAME, LABEL_JOB_UID
from bench.contender.harness import Journal, configuration, run, say
from bench.contender.job_writes import JobWriter
from kube import CONFIG_MAPS, PODS, QISKIT_JOBS, Client, Resource
from kube.events import EventRecorder
from reconcilers.job import POD_SELECTOR, RESULT_SELECTOR


class _Status(msgspec.Struct, frozen=True):
    phase: str = ""


class _Object(msgspec.Struct, frozen=True):
    metadata: ObjectMeta
    status: _Status = _Status()


class _Event(msgspec.Struct, frozen=True):
    type: str
    object: _Object


Step = Callable[[], Awaitable[None]]


async def work(options: argparse.Namespace, journal: Journal) -> None:
    """Do every job that comes."""
    del journal
    namespace = options.namespace
    todo: asyncio.Queue[Step] = asyncio.Queue()
    async with Client(configuration(options), user_agent="bench-bare") as client:
        recorder = EventRecorder(client, controller="bench", instance="bare")
        writer = JobWriter(client, recorder, namespace)
        begun: set[str] = set()
        running: set[str] = set()

        async def follow(resource: Resource, selector: str | None, see: Callable[[_Event], None]) -> None:
            version, lean = None, resource is CONFIG_MAPS
            while (
                True
            ):  # the server ends watches when it is busy; no list in between, as nothing expires here
                async with client.watch(
                    resource,
                    namespace,
                    label_selector=selector,
                    resource_version=version,
                    timeout_seconds=3600,
                    metadata_only=lean,
                ) as lines:
                    async for line in lines:
                        event = msgspec.json.decode(line, type=_Event)
                        version = event.object.metadata.resource_version
                        if event.type != "BOOKMARK":
                            see(event)

        def job(event: _Event) -> None:
            metadata = event.object.metadata
            if metadata.uid not in begun:
                begun.add(metadata.uid)
                todo.put_nowait(partial(writer.begin, metadata.name, metadata.uid))

        def pod(event: _Event) -> None:
            name, uid = _job(event)
            if event.object.status.phase == "Running" and uid not in running:
                running.add(uid)
                todo.put_nowait(partial(writer.run, name, uid))

        def result(event: _Event) -> None:
            if event.type == "ADDED":
                todo.put_nowait(partial(writer.complete, *_job(event)))

        async def worker() -> None:
            while True:
                step = await todo.get()
                await step()

        async with asyncio.TaskGroup() as group:
            for resource, selector, see in (
                (QISKIT_JOBS, None, job),
                (PODS, POD_SELECTOR, pod),
                (CONFIG_MAPS, RESULT_SELECTOR, result),
            ):
                group.create_task(follow(resource, selector, see))
            group.create_task(recorder.run())
            for _ in range(options.workers):
                group.create_task(worker())
            await asyncio.sleep(1)
            say("ready")


def _job(event: _Event) -> tuple[str, str]:
    labels = event.object.metadata.labels
    return labels[LABEL_JOB_NAME], labels[LABEL_JOB_UID]


if __name__ == "__main__":
    run(work)
