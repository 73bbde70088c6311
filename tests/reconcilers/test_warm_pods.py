"""Warm pools and the jobs that take from them, on a real API server."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from api.conditions import find_condition
from api.names import ANNOTATION_CLAIM, LABEL_ROLE, ROLE_WARM
from api.views import QiskitBackend
from informers import Key
from informers.expectations import EXPIRY
from kube import PODS, QISKIT_BACKENDS, Forbidden, InternalError, Pod
from reconcilers.backend.refill import REFILL_AFTER
from reconcilers.isolation import POLICY_NAME
from reconcilers.job.running import SHOWN_AFTER
from tests.reconcilers.conftest import Stage
from tests.reconcilers.fake_node import RUNS, terminated
from tests.reconcilers.operating import (
    Operator,
    Relabelled,
    StoppedClock,
    WatchedClient,
    create_backend,
    eventually,
    get_backend,
)

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


async def is_held_up(stage: Stage, reason: str, words: str = "") -> bool:
    """Whether the backend `pool` says for what reason its pods do not come."""
    backend = await get_backend(stage.client, stage.namespace, "pool")
    found = find_condition(backend.status.conditions, "WarmPoolFilled")
    return found is not None and found.reason == reason and words in found.message


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


async def test_a_pool_with_pods_left_waits_until_the_job_that_took_one_has_begun(stage: Stage) -> None:
    stage.node.default = RUNS
    async with stage.operator() as operator:
        await create_backend(stage.client, stage.namespace, "pool", warmPool={"size": 2})
        await filled(stage, "pool", 2)
        clock = StoppedClock()
        operator.pooling.clock = clock
        operator.client.writes.clear()
        await stage.create("bell", backend={"type": "local_simulator", "name": "pool"})
        await eventually(lambda: _passed_over(operator, short=True))
        assert [path for path in operator.client.written("pods") if path.startswith("POST")] == []
        assert operator.client.written("qiskitbackends") == [], "what holds for half a second is no news"
        clock.forward(REFILL_AFTER)
        await eventually(lambda: _passed_over(operator, short=False))
        await filled(stage, "pool", 2)


async def _passed_over(operator: Operator, *, short: bool) -> bool:
    """Whether a pass has seen the pool short of a pod, or whole again."""
    [memory] = operator.pooling._memories.values()
    return (memory.refill.since is not None) == short


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


async def test_broken_pods_are_replaced_ever_more_slowly(stage: Stage) -> None:
    stage.node.warm = terminated(exitCode=1, reason="Error", message="")
    async with stage.operator() as operator:
        await create_backend(stage.client, stage.namespace, "pool", warmPool={"size": 1})

        async def troubled() -> QiskitBackend | None:
            backend = await get_backend(stage.client, stage.namespace, "pool")
            filled = find_condition(backend.status.conditions, "WarmPoolFilled")
            return backend if filled is not None and filled.reason == "ExecutorCrashed" else None

        await eventually(troubled)
        started = operator.pooling.clock()
        stage.node.warm = None
        await filled(stage, "pool", 1)
        assert operator.pooling.clock() - started > 1.0, "it was left alone for a while"


async def test_a_pool_whose_pods_are_refused_says_so(stage: Stage) -> None:
    path = f"/api/v1/namespaces/{stage.namespace}/limitranges"
    limit = {
        "metadata": {"name": "small"},
        "spec": {"limits": [{"type": "Container", "max": {"memory": "16Mi"}}]},
    }
    await stage.client.raw("POST", path, body=msgspec.json.encode(limit))
    async with stage.operator() as operator:
        operator.pooling.clock = StoppedClock()
        await create_backend(stage.client, stage.namespace, "pool", warmPool={"size": 2})

        await eventually(lambda: is_held_up(stage, "PodRejected"))
        await operator.pooling.reconcile(Key(stage.namespace, "pool"))
        assert await is_held_up(stage, "PodRejected"), (
            "a pass that tries nothing does not say that all is well"
        )
        tries = [path for path in operator.client.written("pods") if path.startswith("POST")]
        assert len(tries) == 1, "a pool that is refused does not hammer the API server"


async def test_a_pool_keeps_no_pods_that_it_could_not_see(stage: Stage) -> None:
    """It would find itself empty, and make ever more of them."""
    async with stage.operator(watched=Relabelled(stage.client)):
        await create_backend(stage.client, stage.namespace, "pool", warmPool={"size": 2})
        await eventually(lambda: is_held_up(stage, "PodRejected", "label app.kubernetes.io/managed-by"))

        async def none() -> bool:
            return not await stage.client.list_items(PODS, stage.namespace, type=Pod)

        await eventually(none)


@pytest.mark.parametrize("refused", ["/pods", f"/networkpolicies/{POLICY_NAME}"])
async def test_a_pool_that_the_cluster_lets_wait_says_so_once(stage: Stage, refused: str) -> None:
    tries: list[str] = []

    def broken(method: str, path: str) -> None:
        if path.endswith(refused):
            tries.append(path)
            raise InternalError(500, "InternalError", f"failed calling webhook: port {len(tries)}: refused")

    clock = StoppedClock()
    async with stage.operator() as operator:
        operator.pooling.clock = clock
        operator.client.before = broken
        await create_backend(stage.client, stage.namespace, "pool", warmPool={"size": 1})
        await eventually(lambda: tries)
        clock.forward(SHOWN_AFTER)

        await eventually(lambda: is_held_up(stage, "ProviderUnavailable", "webhook"))
        enough = len(tries) + 3
        await eventually(lambda: len(tries) >= enough)
        written = operator.client.written("qiskitbackends")
        assert len(written) == 2, "that it starts, and what keeps it from doing so"
        operator.client.before = lambda method, path: None
        await filled(stage, "pool", 1)


async def test_a_pool_whose_backend_is_corrected_waits_no_longer_for_what_was_wrong(stage: Stage) -> None:
    async with stage.operator() as operator:
        operator.pooling.clock = StoppedClock()

        def refused(method: str, path: str) -> None:
            if method == "POST" and path.endswith("/pods"):
                raise Forbidden(403, "Forbidden", "maximum cpu usage per Container is 1")

        operator.client.before = refused
        await create_backend(stage.client, stage.namespace, "pool", warmPool={"size": 1})

        await eventually(lambda: is_held_up(stage, "PodRejected"))
        operator.client.before = lambda method, path: None
        spec: dict[str, Any] = {"spec": {"resources": {"limits": {"cpu": "1"}}}}
        await stage.client.merge_patch(QISKIT_BACKENDS, "pool", spec, stage.namespace)
        await filled(stage, "pool", 1)


async def test_a_pool_expects_no_pod_of_a_pass_that_was_cut_off(stage: Stage) -> None:
    """At the runner's deadline a pass is cancelled in the middle of a call: the next one must not wait for its pod."""
    await create_backend(stage.client, stage.namespace, "pool", warmPool={"size": 1})
    async with stage.operator(run=False) as operator:

        def cut_off(method: str, path: str) -> None:
            if method == "POST" and path.endswith("/pods"):
                raise asyncio.CancelledError

        operator.client.before = cut_off
        with pytest.raises(asyncio.CancelledError):
            await operator.pooling.reconcile(Key(stage.namespace, "pool"))
        operator.client.before = lambda method, path: None
        await operator.pooling.reconcile(Key(stage.namespace, "pool"))
        assert len(await warm_pods(stage)) == 1


async def test_a_pool_looks_again_for_a_pod_whose_coming_was_never_told(stage: Stage) -> None:
    """It came and went while the watch was cut: nothing else would call for a pass for hours."""
    await create_backend(stage.client, stage.namespace, "pool", warmPool={"size": 1})
    key = Key(stage.namespace, "pool")
    async with stage.operator(run=False) as operator:
        pooling = operator.pooling
        await pooling.reconcile(key)
        await eventually(lambda: pooling.expectations.satisfied(key), what="the pod in the cache")
        pooling.expectations.expect_creations(key, 1)
        after = (await pooling.reconcile(key)).after
        assert after is not None
        assert 0 < after <= EXPIRY


async def test_a_backend_that_is_deleted_takes_its_pool_with_it(stage: Stage) -> None:
    async with stage.operator():
        await create_backend(stage.client, stage.namespace, "pool", warmPool={"size": 2})
        await filled(stage, "pool", 2)
        await stage.client.delete(QISKIT_BACKENDS, "pool", stage.namespace)
        await eventually(lambda: _none_left(stage), what="the pool's end")


async def test_a_backend_that_somebodys_finalizer_keeps_lets_go_of_its_pool(stage: Stage) -> None:
    async with stage.operator():
        await create_backend(stage.client, stage.namespace, "pool", warmPool={"size": 2})
        await filled(stage, "pool", 2)
        kept: dict[str, Any] = {"metadata": {"finalizers": ["example.org/keep"]}}
        await stage.client.merge_patch(QISKIT_BACKENDS, "pool", kept, stage.namespace)
        await stage.client.delete(QISKIT_BACKENDS, "pool", stage.namespace)

        backend = await filled(stage, "pool", 0)
        found = find_condition(backend.status.conditions, "WarmPoolFilled")
        assert found is not None
        assert (found.status, found.reason) == ("True", "NoPool")
        assert await warm_pods(stage) == []
        kept["metadata"]["finalizers"] = None
        await stage.client.merge_patch(QISKIT_BACKENDS, "pool", kept, stage.namespace)


async def test_a_backend_that_is_deleted_without_its_pods_keeps_them(stage: Stage) -> None:
    async with stage.operator() as operator:
        await create_backend(stage.client, stage.namespace, "pool", warmPool={"size": 1})
        backend = await filled(stage, "pool", 1)
        going = msgspec.structs.replace(
            backend.metadata,
            deletion_timestamp="2027-01-31T08:00:00Z",
            finalizers=("orphan",),
            resource_version="999999999",  # newer than what the cache has
        )
        operator.pooling.recent.wrote(msgspec.structs.replace(backend, metadata=going))
        await operator.pooling.reconcile(Key(stage.namespace, "pool"))
        assert len(await warm_pods(stage)) == 1


async def test_many_jobs_at_once_take_each_warm_pod_once(stage: Stage) -> None:
    async with stage.operator(workers=8):
        await create_backend(stage.client, stage.namespace, "pool", warmPool={"size": 3})
        await filled(stage, "pool", 3)
        names = [f"job-{number}" for number in range(8)]
        for name in names:
            await stage.create(name, backend={"type": "local_simulator", "name": "pool"})
        executors = []
        for name in names:
            job = await stage.until(name, "Completed", "Failed", seconds=60)
            assert (job.status.phase, job.status.retry_count) == ("Completed", 0), job.status
            executors.append(job.status.job_id)
        assert len(set(executors)) == len(names)


async def test_a_pod_that_was_recorded_and_then_taken_by_another_job_costs_no_retry(stage: Stage) -> None:
    """The process died between the record and the claim, and another leader gave the pod away meanwhile."""
    await create_backend(stage.client, stage.namespace, "pool", warmPool={"size": 1})
    async with stage.operator():
        await filled(stage, "pool", 1)
    [slot] = await warm_pods(stage)
    backend = {"type": "local_simulator", "name": "pool"}

    def dies(method: str, path: str) -> None:
        if method == "PATCH" and path.endswith(slot.metadata.name):
            raise asyncio.CancelledError

    mortal = WatchedClient(stage.client)
    mortal.before = dies
    async with stage.operator(watched=mortal):
        await stage.create("bell", backend=backend, retryPolicy={"maxRetries": 0})

        async def recorded() -> bool:
            return (await stage.job("bell")).status.job_id == slot.metadata.uid

        await eventually(recorded)
    claim = {"metadata": {"annotations": {ANNOTATION_CLAIM: "another/job/1"}}}
    await stage.client.merge_patch(PODS, slot.metadata.name, claim, stage.namespace)
    async with stage.operator():
        job = await stage.until("bell", "Completed", "Failed")
    assert (job.status.phase, job.status.attempt, job.status.retry_count) == ("Completed", 2, 0), job.status


async def test_the_status_counts_what_runs_and_what_waits(stage: Stage) -> None:
    stage.node.default = RUNS
    async with stage.operator():
        await create_backend(stage.client, stage.namespace, "pool", limits={"concurrentJobs": 2})
        for number in range(3):
            await stage.create(f"job-{number}", backend={"type": "local_simulator", "name": "pool"})

        async def counted() -> bool:
            status = (await get_backend(stage.client, stage.namespace, "pool")).status
            return (status.running, status.queued) == (2, 1)

        await eventually(counted)


async def _none_left(stage: Stage) -> bool:
    return not await warm_pods(stage)
