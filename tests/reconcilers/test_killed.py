"""Killed after any API call, the operator's next process finishes the work once.

For each path a job is run again and again; the first process dies after its 1st, 2nd, 3rd … call to the API
server, until it gets through. The second process begins from fresh caches and an empty memory.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from api.names import LABEL_ATTEMPT, LABEL_BACKEND, LABEL_JOB_UID, LABEL_ROLE, ROLE_WARM
from api.views import QiskitJob
from kube import CONFIG_MAPS, PODS, QISKIT_BACKENDS, QISKIT_JOBS, Client, NotFound, PartialObject, Pod
from tests.reconcilers.conftest import Stage
from tests.reconcilers.fake_node import EVICTED, RUNS, SUCCEEDS, Plan
from tests.reconcilers.operating import BELL, WatchedClient, create_backend, eventually, get_backend
from tests.reconcilers.validation_stub import content_fetched

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

SOON = {"backoff": {"initial": "100ms", "maximum": "100ms"}}
MOST_CALLS = 60


class Mortal(WatchedClient):
    """A client whose process dies right after its n-th call was carried out: nothing gets through any more."""

    def __init__(self, inner: Client, dies_after: int) -> None:
        super().__init__(inner)
        self._left = dies_after
        self.dead = asyncio.Event()
        self.last = ""

    async def raw(self, method: str, path: str, **options: Any) -> bytes:
        if self.dead.is_set():
            raise asyncio.CancelledError
        answer = await super().raw(method, path, **options)
        self._left -= 1
        if self._left <= 0:
            self.last = f"{method} {path}"
            self.dead.set()
            raise asyncio.CancelledError
        return answer


@dataclass
class Life:
    """One job under two processes."""

    stage: Stage
    name: str
    created: list[str] = field(default_factory=list)

    async def job(self) -> QiskitJob:
        return await self.stage.job(self.name)

    async def pods(self) -> list[Pod]:
        job = await self.job()
        return await self.stage.client.list_items(
            PODS, self.stage.namespace, type=Pod, label_selector=f"{LABEL_JOB_UID}={job.metadata.uid}"
        )


Make = Callable[[Life], Awaitable[Any]]


async def nothing(_: Life) -> None:
    """No user interferes."""


async def every_death(
    stage: Stage,
    *,
    make: Make,
    ended: Make,
    check: Callable[[Life, str], Awaitable[None]],
    plans: tuple[Plan, ...] = (SUCCEEDS,),
    interfere: Make = nothing,
) -> int:
    """Run the path with a death after each call; how many deaths there were."""
    for death in itertools.count(1):
        assert death < MOST_CALLS, "the path does not end"
        life = Life(stage, f"job-{death}")
        stage.node.plans[life.name] = list(plans)
        mortal = Mortal(stage.client, death)
        await make(life)
        # The user's side of the story goes on whatever happens to the operator.
        story = asyncio.create_task(_story(life, interfere, ended))
        dying = asyncio.create_task(mortal.dead.wait())
        async with stage.operator(watched=mortal):
            await asyncio.wait((story, dying), return_when=asyncio.FIRST_COMPLETED)
        got_through = story.done()
        dying.cancel()
        survivor = WatchedClient(stage.client)
        where = f"after call {death}, {mortal.last}"
        if not got_through:
            async with stage.operator(watched=survivor):
                await asyncio.wait((story,), timeout=40)
                if not story.done():
                    story.cancel()
                    raise AssertionError(f"{where}: stuck in {(await life.job()).status}")
        await story
        life.created = [str(write) for write in (*mortal.writes, *survivor.writes) if write.method == "POST"]
        await check(life, where)
        if got_through:
            return death - 1
        with suppress(NotFound):
            await stage.client.delete(QISKIT_JOBS, life.name, stage.namespace)
    raise AssertionError


async def _story(life: Life, interfere: Make, ended: Make) -> None:
    await interfere(life)
    await ended(life)


async def completed(life: Life) -> None:
    job = await life.stage.until(life.name, "Completed", "Failed", "Cancelled")
    assert job.status.phase == "Completed", job.status


async def one_pod_for_each_attempt(life: Life, where: str) -> None:
    pods = await life.pods()
    attempts = Counter(pod.metadata.labels[LABEL_ATTEMPT] for pod in pods)
    assert set(attempts.values()) == {1}, f"{where}: {attempts}"


async def test_a_cold_job(stage: Stage) -> None:
    async def make(life: Life) -> None:
        await stage.create(life.name)

    async def check(life: Life, where: str) -> None:
        job = await life.job()
        assert (job.status.attempt, job.status.retry_count) == (1, 0), where
        assert len(await life.pods()) == 1, where
        created = [post for post in life.created if post.endswith("/pods")]
        # The second process asks for the same name once more at most, and is told that it is there.
        assert len(created) <= 2, f"{where}: {created}"

    deaths = await every_death(stage, make=make, ended=completed, check=check)
    assert deaths >= 4


async def test_a_job_on_a_warm_pod(stage: Stage) -> None:
    await create_backend(stage.client, stage.namespace, "pool", warmPool={"size": 2})

    async def make(life: Life) -> None:
        await stage.create(life.name, backend={"type": "local_simulator", "name": "pool"})

    async def check(life: Life, where: str) -> None:
        job = await life.job()
        assert job.status.retry_count == 0, where
        await one_pod_for_each_attempt(life, where)
        [pod] = [pod for pod in await life.pods() if pod.metadata.uid == job.status.job_id]
        assert pod.metadata.controller is not None
        assert pod.metadata.controller.uid == job.metadata.uid, where

        async def full_again() -> bool:
            pods = await stage.client.list_items(
                PODS, stage.namespace, type=Pod, label_selector=f"{LABEL_ROLE}={ROLE_WARM}"
            )
            return len([pod for pod in pods if pod.metadata.deletion_timestamp is None]) <= 3

        await eventually(full_again, what="a pool that is not overfull")

    await every_death(stage, make=make, ended=completed, check=check)


async def test_a_job_whose_first_pod_is_evicted(stage: Stage) -> None:
    async def make(life: Life) -> None:
        await stage.create(life.name, retryPolicy=SOON)

    async def check(life: Life, where: str) -> None:
        job = await life.job()
        assert (job.status.attempt, job.status.retry_count) == (2, 1), where
        await one_pod_for_each_attempt(life, where)
        assert len(await life.pods()) == 2, where

    await every_death(stage, make=make, ended=completed, check=check, plans=(EVICTED, SUCCEEDS))


async def test_a_job_whose_source_is_fetched(stage: Stage) -> None:
    stage.validation.fetched = lambda _: content_fetched(BELL.encode(), revision="abc1234")

    async def make(life: Life) -> None:
        url = "https://circuits.example.org/bell.py"
        await stage.create(life.name, circuit={"source": "url", "url": url})

    async def check(life: Life, where: str) -> None:
        job = await life.job()
        kept = await stage.client.list_items(
            CONFIG_MAPS,
            stage.namespace,
            type=PartialObject,
            label_selector=f"{LABEL_JOB_UID}={job.metadata.uid},{LABEL_ROLE}=input",
        )
        assert [found.metadata.name for found in kept] == [f"input-{job.metadata.uid}"], where
        assert len(await life.pods()) == 1, where

    await every_death(stage, make=make, ended=completed, check=check)


async def test_a_job_that_is_cancelled_while_it_runs(stage: Stage) -> None:
    async def make(life: Life) -> None:
        await stage.create(life.name)

    async def interfere(life: Life) -> None:
        await stage.until(life.name, "Running", "Cancelled")
        await stage.client.merge_patch(QISKIT_JOBS, life.name, {"spec": {"cancel": True}}, stage.namespace)

    async def ended(life: Life) -> None:
        await stage.until(life.name, "Cancelled")

        async def gone() -> bool:
            return not await life.pods()

        await eventually(gone, what="the pod's end")

    async def check(life: Life, where: str) -> None:
        job = await life.job()
        assert job.status.attempt == 1, where

    await every_death(stage, make=make, ended=ended, check=check, plans=(RUNS,), interfere=interfere)


async def test_a_job_that_is_suspended_and_resumed(stage: Stage) -> None:
    async def make(life: Life) -> None:
        await stage.create(life.name)

    async def interfere(life: Life) -> None:
        async def spec(**changes: Any) -> None:
            await stage.client.merge_patch(QISKIT_JOBS, life.name, {"spec": changes}, stage.namespace)

        await stage.until(life.name, "Running")
        await spec(suspend=True)

        async def suspended() -> bool:
            return (await life.job()).status.reason == "Suspended"

        await eventually(suspended)
        await spec(suspend=False)

    async def check(life: Life, where: str) -> None:
        job = await life.job()
        assert (job.status.attempt, job.status.retry_count) == (2, 0), where
        await one_pod_for_each_attempt(life, where)

    await every_death(
        stage, make=make, ended=completed, check=check, plans=(RUNS, SUCCEEDS), interfere=interfere
    )


async def test_a_pool_that_is_filled(stage: Stage) -> None:
    async def pods_of(name: str) -> list[Pod]:
        selector = f"{LABEL_ROLE}={ROLE_WARM},{LABEL_BACKEND}={name}"
        pods = await stage.client.list_items(PODS, stage.namespace, type=Pod, label_selector=selector)
        return [pod for pod in pods if pod.metadata.deletion_timestamp is None]

    for death in itertools.count(1):
        assert death < MOST_CALLS, "the path does not end"
        name = f"pool-{death}"
        await create_backend(stage.client, stage.namespace, name, warmPool={"size": 2})

        async def filled(name: str = name) -> bool:
            backend = await get_backend(stage.client, stage.namespace, name)
            return backend.status.warm == 2 and len(await pods_of(name)) == 2

        story = asyncio.create_task(eventually(filled, what=f"{name} of two pods"))
        mortal = Mortal(stage.client, death)
        dying = asyncio.create_task(mortal.dead.wait())
        async with stage.operator(watched=mortal):
            await asyncio.wait((story, dying), return_when=asyncio.FIRST_COMPLETED)
        got_through = story.done()
        dying.cancel()
        async with stage.operator():
            await story
        assert len(await pods_of(name)) == 2, f"after call {death}, {mortal.last}"
        await stage.client.delete(QISKIT_BACKENDS, name, stage.namespace)
        if got_through:
            assert death > 3
            return
