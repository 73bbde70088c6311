"""What the engine promises, as the reconcilers make use of it (G28, G36, G38, G40, G41), on a real API server."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from api.names import (
    ANNOTATION_CLAIM,
    LABEL_ATTEMPT,
    LABEL_JOB_UID,
    LABEL_MANAGED_BY,
    LABEL_ROLE,
    MANAGED_BY,
    ROLE_EXECUTOR,
    ROLE_WARM,
)
from backends import Attempt, Handle, Owner
from informers import Key
from kube import CONFIG_MAPS, PODS, QISKIT_BACKENDS, QISKIT_JOBS, Client, NotFound, PartialObject, Pod
from tests.faults.proxy import FaultProxy
from tests.faults.rules import Delay, Matching
from tests.reconcilers.conftest import Stage
from tests.reconcilers.fake_node import RUNS
from tests.reconcilers.operating import Operator, WatchedClient, create_backend, eventually, get_backend

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]


async def pods_of_role(stage: Stage, role: str) -> list[Pod]:
    selector = f"{LABEL_MANAGED_BY}={MANAGED_BY},{LABEL_ROLE}={role}"
    return await stage.client.list_items(PODS, stage.namespace, type=Pod, label_selector=selector)


async def filled(stage: Stage, name: str, warm: int) -> None:
    async def look() -> bool:
        return (await get_backend(stage.client, stage.namespace, name)).status.warm == warm

    await eventually(look, seconds=60, what=f"{warm} warm pods")


class TestStaleCaches:
    async def test_g36_a_pool_is_not_overfilled_from_a_cache_that_lags(
        self, stage: Stage, fault_proxy: FaultProxy
    ) -> None:
        """Pods that were started and do not show yet count, however often the pool is looked at meanwhile."""
        fault_proxy.faults.add(Delay(0.5), when=Matching(watch=True, path="/pods"))
        acting = WatchedClient(stage.client)
        async with (
            Client(fault_proxy.configuration, user_agent="lagging") as lagging,
            Operator.start(lagging, stage.namespace, stage.validation.url, watched=acting),
        ):
            await create_backend(stage.client, stage.namespace, "pool", warmPool={"size": 3})
            for number in range(20):
                body = {"metadata": {"annotations": {"look": str(number)}}}
                await stage.client.merge_patch(QISKIT_BACKENDS, "pool", body, stage.namespace)
                await asyncio.sleep(0.1)
            await filled(stage, "pool", 3)
        assert (
            len([write for write in acting.writes if str(write) == f"POST {PODS.path(stage.namespace)}"]) == 3
        )
        assert len(await pods_of_role(stage, ROLE_WARM)) == 3

    async def test_g36_jobs_cost_no_write_in_vain_though_the_caches_lag(
        self, stage: Stage, fault_proxy: FaultProxy
    ) -> None:
        """What this process wrote is known to it at once: nothing is made twice, nothing ends in a conflict."""
        fault_proxy.faults.add(Delay(0.1), when=Matching(watch=True))
        acting = WatchedClient(stage.client)
        names = [f"job-{number}" for number in range(4)]
        async with (
            Client(fault_proxy.configuration, user_agent="lagging") as lagging,
            Operator.start(lagging, stage.namespace, stage.validation.url, watched=acting) as operator,
        ):
            for name in names:
                await stage.create(name)

            async def pester() -> None:
                while True:
                    for name in names:
                        operator.queue.add(Key(stage.namespace, name))
                    await asyncio.sleep(0.02)

            pestering = asyncio.create_task(pester())
            for name in names:
                job = await stage.until(name, "Completed", "Failed", seconds=60)
                assert (job.status.phase, job.status.attempt) == ("Completed", 1)
            pestering.cancel()

            def wanted() -> Counter[str]:
                return Counter(str(write) for write in acting.writes)

            def carried_out() -> Counter[str]:
                return Counter(call for call in acting.calls if not call.startswith("GET"))

            # The last answer may still be under way when the test already sees what it is the answer to.
            await eventually(lambda: wanted() == carried_out(), seconds=5, what="a success of every write")
        assert wanted()[f"POST {PODS.path(stage.namespace)}"] == len(names)


class Meddled(WatchedClient):
    """Just before the first status of a job is written, somebody else changes the job."""

    def __init__(self, inner: Client, change: dict[str, Any]) -> None:
        super().__init__(inner)
        self._change: dict[str, Any] | None = change

    async def raw(self, method: str, path: str, **options: Any) -> bytes:
        if path.endswith("/status") and "/qiskitjobs/" in path and self._change is not None:
            change, self._change = self._change, None
            await self._inner.raw(
                "PATCH",
                path.removesuffix("/status"),
                body=msgspec.json.encode(change),
                content_type="application/merge-patch+json",
            )
        return await super().raw(method, path, **options)


class TestConflicts:
    async def test_g38_what_was_decided_on_an_old_state_is_never_written(self, stage: Stage) -> None:
        acting = Meddled(stage.client, {"spec": {"suspend": True}})
        async with stage.operator(watched=acting):
            await stage.create("bell")
            job = await stage.until("bell", "Pending", "Completed", "Failed")

            async def suspended() -> bool:
                return (await stage.job("bell")).status.reason == "Suspended"

            await eventually(suspended)
        assert job.status.attempt == 0
        assert acting.written("pods") == [], "no executor for a job that was suspended before its attempt"
        bodies = [write.body for write in acting.writes if write.path.endswith("/status")]
        assert len(bodies) == 2
        versions = {msgspec.json.decode(body or b"")["metadata"]["resourceVersion"] for body in bodies}
        assert len(versions) == 2, "the second is decided anew, on the state that the first did not know"

    async def test_g38_a_warm_pod_that_was_claimed_meanwhile_is_not_removed(self, stage: Stage) -> None:
        async with stage.operator() as operator:
            await create_backend(stage.client, stage.namespace, "pool", warmPool={"size": 1})
            await filled(stage, "pool", 1)
            [stale] = await pods_of_role(stage, ROLE_WARM)
            claim = {"metadata": {"annotations": {ANNOTATION_CLAIM: "another/uid/1"}}}
            await stage.client.merge_patch(PODS, stale.metadata.name, claim, stage.namespace)
            assert not await operator.pooling.warm_pods.remove(stale)
            still = await stage.client.get(PODS, stale.metadata.name, stage.namespace, type=Pod)
            assert still.metadata.deletion_timestamp is None

    async def test_g38_a_pod_that_took_anothers_name_is_not_deleted_for_it(self, stage: Stage) -> None:
        body = {
            "metadata": {"name": "bell-1"},
            "spec": {"containers": [{"name": "theirs", "image": "theirs"}]},
        }
        theirs = await stage.client.create(PODS, body, stage.namespace, type=Pod)
        owner = Owner(namespace=stage.namespace, name="bell", uid="job-uid")
        gone = Handle(attempt=Attempt(owner=owner, number=1), id="the-uid-before", name="bell-1")
        async with stage.operator(run=False) as operator:
            await operator.reconciler.registry["local_simulator"].cancel(gone)
        still = await stage.client.get(PODS, "bell-1", stage.namespace, type=Pod)
        assert still.metadata.uid == theirs.metadata.uid
        assert still.metadata.deletion_timestamp is None


class TestOwnership:
    async def test_g40_a_deleted_job_waits_for_no_operator(self, stage: Stage) -> None:
        """No finalizer is set anywhere: what belongs to a job goes with it by its owner reference alone."""
        stage.node.plans["running"] = [RUNS]
        async with stage.operator():
            jobs = [await stage.create("running"), await stage.create("done")]
            await stage.until("running", "Running")
            await stage.until("done", "Completed")
        for name in ("running", "done"):
            job = await stage.job(name)
            assert job.metadata.finalizers == ()
            await stage.client.delete(QISKIT_JOBS, name, stage.namespace)
            with pytest.raises(NotFound):
                await stage.job(name)

        async def all_gone() -> bool:
            left = [
                await stage.client.list_items(
                    kind,
                    stage.namespace,
                    type=PartialObject,
                    label_selector=f"{LABEL_JOB_UID}={job.metadata.uid}",
                )
                for kind in (PODS, CONFIG_MAPS)
                for job in jobs
            ]
            return not any(left)

        await eventually(all_gone, seconds=60, what="the end of all that was theirs")
        async with stage.operator() as operator:
            await asyncio.sleep(0.5)
            assert operator.client.writes == [], "who comes later finds nothing to do"

    async def test_g40_a_job_that_somebodys_finalizer_keeps_lets_go_of_its_pod_and_its_place(
        self, stage: Stage
    ) -> None:
        stage.node.plans["kept"] = [RUNS]
        backend = {"type": "local_simulator", "name": "narrow"}
        await create_backend(stage.client, stage.namespace, "narrow", limits={"concurrentJobs": 1})
        async with stage.operator():
            kept = await stage.create("kept", backend=backend)
            await stage.until("kept", "Running")
            await stage.create("next", backend=backend)
            await stage.until("next", "Scheduling")
            finalizer: dict[str, Any] = {"metadata": {"finalizers": ["example.org/keep"]}}
            await stage.client.merge_patch(QISKIT_JOBS, "kept", finalizer, stage.namespace)
            await stage.client.delete(QISKIT_JOBS, "kept", stage.namespace)
            await stage.until("next", "Completed")

            async def gone() -> bool:
                selector = f"{LABEL_JOB_UID}={kept.metadata.uid}"
                return not await stage.client.list_items(
                    PODS, stage.namespace, type=Pod, label_selector=selector
                )

            await eventually(gone, what="the pod's end")
            assert (await stage.job("kept")).metadata.deletion_timestamp is not None
            finalizer["metadata"]["finalizers"] = None
            await stage.client.merge_patch(QISKIT_JOBS, "kept", finalizer, stage.namespace)

    async def test_g41_a_pod_that_only_bears_a_jobs_labels_is_not_the_jobs(self, stage: Stage) -> None:
        """Whoever may create pods may label them; the controller's UID decides."""
        job = await stage.create("bell")
        labels = {
            LABEL_MANAGED_BY: MANAGED_BY,
            LABEL_ROLE: ROLE_EXECUTOR,
            LABEL_JOB_UID: job.metadata.uid,
            LABEL_ATTEMPT: "1",
        }
        body = {
            "metadata": {"name": "pretender", "labels": labels},
            "spec": {"containers": [{"name": "executor", "image": "theirs"}]},
        }
        pretender = await stage.client.create(PODS, body, stage.namespace, type=Pod)
        async with stage.operator():
            done = await stage.until("bell", "Completed", "Failed")
        assert done.status.phase == "Completed", done.status
        assert done.status.job_id != pretender.metadata.uid
        still = await stage.client.get(PODS, "pretender", stage.namespace, type=Pod)
        assert still.metadata.deletion_timestamp is None


async def test_g28_jobs_that_are_gone_leave_nothing_in_memory(stage: Stage) -> None:
    """An operator that remembers what others have deleted grows until it is killed."""
    stage.node.default = RUNS
    async with stage.operator() as operator:
        names = [f"job-{number}" for number in range(3)]
        for name in names:
            await stage.create(name)
        for name in names:
            await stage.until(name, "Running")
        reconciler = operator.reconciler

        def memory() -> dict[str, list[Any]]:
            everything: dict[str, Mapping[Any, Any]] = {
                "uids": reconciler._uids,
                "submitted": reconciler._submitted._handles,
                "departed": reconciler._departed._pods,
                "promised": reconciler.slots._promised,
                "errands": reconciler.errands._tasks,
                "written": reconciler.recent._written,
                "own writes": reconciler.recent._own._written,
                "places": reconciler.places._given,
                "failures": operator.queue._retry_delay._failures,
            }
            return {what: list(found) for what, found in everything.items() if found}

        assert len(memory()["uids"]) == len(names)
        for name in names:
            await stage.client.delete(QISKIT_JOBS, name, stage.namespace)

        try:
            await eventually(lambda: not memory())
        except AssertionError:
            raise AssertionError(f"still remembered: {memory()}") from None
