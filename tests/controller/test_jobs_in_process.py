"""The real controllers in the real process: jobs go through, and go on through a change of leader."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from api.names import LABEL_JOB_NAME
from controller.controllers import make_controllers
from controller.process import Process
from controller.settings import Settings
from gateway.authority import AuthorityStore
from kube import PODS, Client
from tests.reconcilers.fake_node import InstantNode
from tests.reconcilers.operating import create_job, in_phase
from tests.reconcilers.validation_stub import ValidationStub

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("crds")]

JOBS = 20


@contextlib.asynccontextmanager
async def node(client: Client, namespace: str) -> AsyncIterator[InstantNode]:
    # The operators will find the Secret, and the key of the seal in it.
    trust = await AuthorityStore(client, namespace).obtain(datetime.now(UTC))
    serving = InstantNode(client, namespace, seal=trust.seal)
    task = asyncio.create_task(serving.run())
    yield serving
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def replica(kubeconfig: Path, namespace: str, validation_url: str) -> Process:
    settings = Settings(
        namespaces=(namespace,),
        operator_namespace=namespace,
        kubeconfig=kubeconfig,
        validation_url=validation_url,  # type: ignore[arg-type]
        gateway_listen_address="127.0.0.1",
        gateway_listen_port=0,
        metrics_listen_address="127.0.0.1",
        metrics_listen_port=0,
        lease_duration=3,
        renew_deadline=2,
        retry_period=0.2,
    )
    return Process(settings, make_controllers)


def passes(process: Process) -> float:
    samples = next(iter(process.metrics.reconciles.collect())).samples
    return sum(
        sample.value
        for sample in samples
        if sample.labels.get("controller") == "job" and sample.name.endswith("_total")
    )


async def test_jobs_survive_the_sudden_end_of_their_leader(
    client: Client, kubeconfig: Path, namespace: str
) -> None:
    async with node(client, namespace), ValidationStub().serving() as validation:
        replicas = [replica(kubeconfig, namespace, validation.url) for _ in range(2)]
        tasks = {process: asyncio.create_task(process.run()) for process in replicas}
        names = [f"job-{number:02d}" for number in range(JOBS)]
        for name in names[: JOBS // 2]:
            await create_job(client, namespace, name)
        await in_phase(client, namespace, names[0], "Completed")
        first = max(replicas, key=passes)
        for name in names[JOBS // 2 :]:
            await create_job(client, namespace, name)
        tasks[first].cancel()
        jobs = [await in_phase(client, namespace, name, "Completed", "Failed", seconds=60) for name in names]
        second = next(process for process in replicas if process is not first)
        assert passes(second) > 0
        second.stop()
        await asyncio.gather(*tasks.values(), return_exceptions=True)
        assert [job.status.phase for job in jobs] == ["Completed"] * JOBS
        pods = json.loads(await client.list(PODS, namespace))["items"]
        owners = sorted(pod["metadata"]["labels"][LABEL_JOB_NAME] for pod in pods)
        assert owners == names, "one pod a job, whoever led"


async def test_a_quiet_job_costs_few_passes(client: Client, kubeconfig: Path, namespace: str) -> None:
    """A pass for each event of the job, its pod and its result, and no storm of them.

    How many events share a pass is a matter of speed: about eight are left. That an own write calls for none
    (G42) is shown where there is no speed, in tests/reconcilers/test_recent.py.
    """
    async with node(client, namespace), ValidationStub().serving() as validation:
        process = replica(kubeconfig, namespace, validation.url)
        task = asyncio.create_task(process.run())
        await create_job(client, namespace, "warm-up")
        await in_phase(client, namespace, "warm-up", "Completed")
        before = passes(process)
        for number in range(10):
            await create_job(client, namespace, f"job-{number}")
            await in_phase(client, namespace, f"job-{number}", "Completed")
        taken = (passes(process) - before) / 10
        process.stop()
        await task
        assert taken <= 16
