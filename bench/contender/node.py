"""A node without containers and a validation service without circuits: both answer at once, for every contender.

For each executor's pod the node says Running, waits until the job names the pod as its executor (as the gateway
would make it wait), stores a result, and says Succeeded: four requests a job, outside of what is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
from datetime import UTC, datetime

import msgspec
from aiohttp import web

from api.names import LABEL_ATTEMPT, LABEL_JOB_NAME, LABEL_JOB_UID
from api.seal import Seal
from api.views import QiskitJob
from bench.contender.harness import Journal, configuration, run, say
from bench.finished import AT, DOCUMENT, ENDED, SUMMARY
from gateway.authority import AuthorityStore
from gateway.output import Owner, result_config_map
from informers import Informer, Tombstone
from kube import CONFIG_MAPS, PODS, QISKIT_JOBS, ApiError, Client, Pod
from messages.validation import ValidateResponse, Verdict
from messages.work import HandIn
from reconcilers.job import POD_SELECTOR

RUNNING = {
    "status": {
        "phase": "Running",
        "startTime": AT,
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": AT}],
        "containerStatuses": [
            {
                "name": "executor",
                "ready": True,
                "restartCount": 0,
                "image": "executor",
                "imageID": "",
                "state": {"running": {"startedAt": AT}},
            }
        ],
    }
}

VALID = msgspec.json.encode(
    ValidateResponse(
        verdict=Verdict.VALID,
        valid=True,
        circuits=1,
        qubits=2,
        clbits=2,
        depth=3,
        gates=2,
        gate_types={"h": 1, "cx": 1},
        circuit_hash=f"sha256:{'1' * 64}",
        method="stabilizer",
        memory_bytes=64,
    )
)


class Recorded:
    """Which pods their jobs have named, and who waits to hear of it."""

    def __init__(self) -> None:
        self._events: dict[str, asyncio.Event] = {}

    def of(self, pod_uid: str) -> asyncio.Event:
        """Set once a job names the pod."""
        return self._events.setdefault(pod_uid, asyncio.Event())

    def on_add(self, obj: QiskitJob, initial: bool) -> None:
        if obj.status.job_id:
            self.of(obj.status.job_id).set()

    def on_update(self, old: QiskitJob, new: QiskitJob) -> None:
        self.on_add(new, False)

    def on_delete(self, last: QiskitJob | Tombstone[QiskitJob]) -> None:
        pass


class Node:
    """Runs every pod that comes."""

    def __init__(self, client: Client, seal: Seal, recorded: Recorded, group: asyncio.TaskGroup) -> None:
        self._client = client
        self._seal = seal
        self._recorded = recorded
        self._group = group

    def on_add(self, obj: Pod, initial: bool) -> None:
        if obj.status.phase == "Pending":
            self._group.create_task(self._serve(obj))

    def on_update(self, old: Pod, new: Pod) -> None:
        pass

    def on_delete(self, last: Pod | Tombstone[Pod]) -> None:
        pass

    async def _serve(self, pod: Pod) -> None:
        metadata = pod.metadata
        namespace, labels = metadata.namespace, metadata.labels
        with contextlib.suppress(ApiError):
            await self._client.merge_patch(
                PODS, metadata.name, RUNNING, namespace, subresource="status", type=msgspec.Raw
            )
            await self._recorded.of(metadata.uid).wait()
            attempt, uid, name = int(labels[LABEL_ATTEMPT]), labels[LABEL_JOB_UID], labels[LABEL_JOB_NAME]
            owner = Owner(name=name, namespace=namespace, uid=uid, attempt=attempt, retain=False)
            hand_in = HandIn(
                job_uid=uid,
                attempt=attempt,
                digest=f"sha256:{'0' * 64}",
                document=DOCUMENT,
                summary=SUMMARY,
            )
            result = result_config_map(
                owner, hand_in, self._seal, name=f"{name}-results", location=f"{name}-results"
            )
            await self._client.create(CONFIG_MAPS, result, namespace, type=msgspec.Raw)
            await self._client.merge_patch(
                PODS, metadata.name, ENDED, namespace, subresource="status", type=msgspec.Raw
            )


async def work(options: argparse.Namespace, journal: Journal) -> None:
    """Serve until cancelled; says `ready` with the address of the validation service."""
    del journal

    async def validate(_: web.Request) -> web.Response:
        return web.Response(body=VALID, content_type="application/json")

    app = web.Application()
    app.router.add_post("/validate", validate)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    namespace = options.namespace
    async with (
        Client(configuration(options), user_agent="bench-node") as client,
        asyncio.TaskGroup() as group,
    ):
        # The seal that the operator checks lies in its namespace, which here is the jobs' own.
        seal = (await AuthorityStore(client, namespace).obtain(datetime.now(UTC))).seal
        recorded = Recorded()
        jobs = Informer(client, QISKIT_JOBS, QiskitJob, namespace=namespace)
        pods = Informer(client, PODS, Pod, namespace=namespace, label_selector=POD_SELECTOR)
        jobs.add_handler(recorded)
        pods.add_handler(Node(client, seal, recorded, group))
        group.create_task(jobs.run())
        group.create_task(pods.run())
        await jobs.wait_synced()
        await pods.wait_synced()
        say("ready", url=f"http://127.0.0.1:{runner.addresses[0][1]}")


if __name__ == "__main__":
    run(work)
