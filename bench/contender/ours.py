"""The work done by this project's engine: informers, work queue, runner, with metrics as in production."""

from __future__ import annotations

import argparse
import asyncio

from bench.contender.harness import Journal, configuration, run
from bench.sample import DONE_PATCH, SAMPLES, SELECTOR, Sample, child
from controller.garbage import GarbagePolicy
from controller.metric_adapters import InformerAdapter, QueueAdapter
from controller.metrics import Metrics
from controller.runner import Runner
from informers import PRIORITY_INITIAL, Informer, Key, OwnWrites, Tombstone, WorkQueue, key_of, last_state
from kube import CONFIG_MAPS, AlreadyExists, Client, PartialObject
from reconcilers.result import DONE, Result


async def work(options: argparse.Namespace, journal: Journal) -> None:
    """Reconcile samples until cancelled."""
    metrics = Metrics()
    namespace = options.namespace
    async with Client(configuration(options), user_agent="bench-ours") as client:
        samples = Informer(
            client, SAMPLES, Sample, namespace=namespace, metrics=InformerAdapter(metrics, "samples")
        )
        children = Informer(
            client,
            CONFIG_MAPS,
            PartialObject,
            namespace=namespace,
            label_selector=SELECTOR,
            metadata_only=True,
            metrics=InformerAdapter(metrics, "children"),
        )
        own = OwnWrites(samples)

        async def reconcile(key: Key) -> Result:
            sample = samples.get(*key)
            if sample is None or sample.status.phase == "Done":
                own.forget(key)
                return DONE
            if not own.fresh(key):
                return Result(after=0.05)
            journal.begin(key.name)
            if children.get(*key) is None:
                try:
                    body = child(key.name, sample.metadata.uid)
                    await client.create(CONFIG_MAPS, body, key.namespace, type=PartialObject)
                except AlreadyExists:
                    pass
            journal.post(key.name)
            written: PartialObject = await client.merge_patch(
                SAMPLES, key.name, DONE_PATCH, key.namespace, subresource="status", type=PartialObject
            )
            own.wrote(key, written.metadata.resource_version)
            journal.finish(key.name)
            return DONE

        queue_metrics = QueueAdapter(metrics, "sample")
        queue = WorkQueue[Key](metrics=queue_metrics)
        runner = Runner("sample", queue, reconcile, metrics=metrics, workers=options.workers)
        samples.add_handler(Changes(queue))
        async with asyncio.TaskGroup() as group:
            group.create_task(children.run())
            group.create_task(samples.run())
            await children.wait_synced()
            await samples.wait_synced()
            GarbagePolicy(metrics).settle()
            group.create_task(runner.run())


class Changes:
    """Queues a sample when it comes, changes or goes; its own status is no news."""

    def __init__(self, queue: WorkQueue[Key]) -> None:
        self._queue = queue

    def on_add(self, obj: Sample, initial: bool) -> None:
        self._queue.add(key_of(obj), PRIORITY_INITIAL if initial else 0)

    def on_update(self, old: Sample, new: Sample) -> None:
        if old.metadata.generation != new.metadata.generation:
            self._queue.add(key_of(new))

    def on_delete(self, last: Sample | Tombstone[Sample]) -> None:
        self._queue.add(key_of(last_state(last)))


if __name__ == "__main__":
    run(work)
