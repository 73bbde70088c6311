"""Warm pools and the jobs that take from them, on a real API server."""

from __future__ import annotations

from typing import Any

import pytest

from api.names import LABEL_ROLE, ROLE_WARM
from api.views import QiskitBackend
from kube import PODS, QISKIT_BACKENDS, Pod
from tests.reconcilers.conftest import Stage
from tests.reconcilers.operating import create_backend, eventually, get_backend

pytestmark = pytest.mark.cluster


async def warm_pods(stage: Stage) -> list[Pod]:
    pods = await stage.client.list_items(
        PODS, stage.namespace, type=Pod, label_selector=f"{LABEL_ROLE}={ROLE_WARM}"
    )
    return [pod for pod in pods if pod.metadata.deletion_timestamp is None]


async def filled(stage: Stage, name: str, warm: int) -> QiskitBackend:
    async def look() -> QiskitBackend | None:
        backend = await get_backend(stage.client, stage.namespace, name)
        return backend if backend.status.warm == warm and backend.status.observed_generation else None

    found: QiskitBackend = await eventually(look, what=f"{warm} warm pods")
    return found


async def test_a_warm_job_takes_four_writes_of_which_one_is_the_gateways(stage: Stage) -> None:
    async with stage.operator() as operator:
        await create_backend(stage.client, stage.namespace, "pool", warmPool={"size": 1})
        await filled(stage, "pool", 1)
        [pod] = await warm_pods(stage)
        operator.client.writes.clear()
        await stage.create("bell", backend={"type": "local_simulator", "name": "pool"})
        job = await stage.until("bell", "Completed", "Failed")
        assert job.status.phase == "Completed", job.status
        assert job.status.job_id == pod.metadata.uid
        jobs = operator.client.written("qiskitjobs")
        claims = [str(write) for write in operator.client.writes if write.path.endswith(pod.metadata.name)]
        assert (len(jobs), len(claims)) == (2, 1), [str(write) for write in operator.client.writes]


async def test_a_claimed_pod_belongs_to_the_job_and_the_pool_is_filled_again(stage: Stage) -> None:
    async with stage.operator():
        await create_backend(stage.client, stage.namespace, "pool", warmPool={"size": 2})
        await filled(stage, "pool", 2)
        before = {pod.metadata.uid for pod in await warm_pods(stage)}
        job = await stage.create("bell", backend={"type": "local_simulator", "name": "pool"})
        done = await stage.until("bell", "Completed")
        await filled(stage, "pool", 2)
        after = {pod.metadata.uid for pod in await warm_pods(stage)}
        assert done.status.job_id in before
        assert done.status.job_id not in after
        assert len(before & after) == 1
        pods = await stage.client.list_items(PODS, stage.namespace, type=Pod)
        [claimed] = [pod for pod in pods if pod.metadata.uid == done.status.job_id]
        assert claimed.metadata.controller is not None
        assert claimed.metadata.controller.uid == job.metadata.uid


async def test_the_pool_is_drained_when_its_size_or_its_image_changes(stage: Stage) -> None:
    async with stage.operator():
        await create_backend(stage.client, stage.namespace, "pool", warmPool={"size": 3})
        await filled(stage, "pool", 3)
        await change(stage, warmPool={"size": 1})
        await filled(stage, "pool", 1)
        [old] = await eventually(lambda: _if_count(stage, 1))
        await change(stage, image="another/executor:1")

        async def replaced() -> bool:
            pods = await warm_pods(stage)
            return len(pods) == 1 and pods[0].spec.containers[0].image == "another/executor:1"

        await eventually(replaced)
        assert (await warm_pods(stage))[0].metadata.uid != old.metadata.uid


async def change(stage: Stage, **spec: Any) -> None:
    await stage.client.merge_patch(QISKIT_BACKENDS, "pool", {"spec": spec}, stage.namespace)


async def _if_count(stage: Stage, count: int) -> list[Pod]:
    pods = await warm_pods(stage)
    return pods if len(pods) == count else []
