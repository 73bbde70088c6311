"""A small operator on the engine, to be killed: one ConfigMap in, one child ConfigMap and one annotation out.

    python sample_operator.py KUBECONFIG NAMESPACE

The child has a deterministic name and is controlled by its parent; the parent is annotated with the child's
UID once that exists. A parent that has its annotation needs nothing more, so no write follows the end.
"""

from __future__ import annotations

import asyncio
import sys

from controller.metrics import Metrics
from controller.runner import Runner
from informers import Key, WorkQueue, key_of
from informers.informer import Informer
from kube import CONFIG_MAPS, AlreadyExists, Client, PartialObject, load_configuration
from kube import Conflict as Changed
from reconcilers.result import DONE, Conflict, Result

LABEL = "chaos=parent"
ANNOTATION = "chaos/child"


class Enqueue:
    """Every change of a parent is a reason to look at it."""

    def __init__(self, queue: WorkQueue[Key]) -> None:
        self._queue = queue

    def on_add(self, obj: PartialObject, initial: bool) -> None:
        self._queue.add(key_of(obj))

    def on_update(self, old: PartialObject, new: PartialObject) -> None:
        self._queue.add(key_of(new))

    def on_delete(self, last: object) -> None:
        pass


class Sample:
    """The reconciler."""

    def __init__(self, client: Client, parents: Informer[PartialObject]) -> None:
        self._client = client
        self._parents = parents

    async def reconcile(self, key: Key) -> Result:
        parent = self._parents.get(*key)
        if parent is None or ANNOTATION in parent.metadata.annotations:
            return DONE
        uid = await self._child(parent)
        change = {
            "metadata": {
                "annotations": {ANNOTATION: uid},
                "resourceVersion": parent.metadata.resource_version,
            }
        }
        try:
            await self._client.merge_patch(CONFIG_MAPS, key.name, change, key.namespace)
        except Changed as error:
            raise Conflict(str(error)) from error
        return DONE

    async def _child(self, parent: PartialObject) -> str:
        name, namespace = f"{parent.metadata.name}-child", parent.metadata.namespace
        owner = {"apiVersion": "v1", "kind": "ConfigMap", "controller": True}
        body = {
            "metadata": {
                "name": name,
                "ownerReferences": [owner | {"name": parent.metadata.name, "uid": parent.metadata.uid}],
            }
        }
        try:
            child = await self._client.create(CONFIG_MAPS, body, namespace, type=PartialObject)
        except AlreadyExists:
            child = await self._client.get(CONFIG_MAPS, name, namespace, type=PartialObject)
            owner_uid = child.metadata.controller.uid if child.metadata.controller else ""
            if owner_uid != parent.metadata.uid:
                raise Conflict(f"{name} belongs to somebody else") from None
        return child.metadata.uid


async def main(kubeconfig: str, namespace: str) -> None:
    configuration = await load_configuration(kubeconfig)
    queue: WorkQueue[Key] = WorkQueue()
    async with Client(configuration, user_agent="chaos-sample") as client:
        parents = Informer(
            client, CONFIG_MAPS, PartialObject, namespace=namespace, label_selector=LABEL, metadata_only=True
        )
        parents.add_handler(Enqueue(queue))
        runner = Runner("sample", queue, Sample(client, parents).reconcile, metrics=Metrics(), workers=8)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(parents.run())
            await parents.wait_synced()
            tasks.create_task(runner.run())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
