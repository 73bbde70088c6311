"""Jobs through the whole operator: real process, real reconcilers, a node and a validator that answer at once.

A burst of jobs tells the rate and what each costs; single jobs on an idle cluster tell how long it takes from
the create to the executor's pod. The rivals make the same writes and drain the same watches. All of it is seen
from outside, by one watch of the benchmark's own.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Generic, TypeVar

import msgspec

from api.meta import ObjectMeta
from api.names import LABEL_JOB_NAME
from bench.cluster import Cluster, many
from bench.contenders import NODE, OPERATOR, Contender, Failed, Measured, running
from bench.figures import over_repeats, over_samples
from bench.finished import job
from bench.plan import MOST_WRITTEN, Plan
from bench.report import Report
from informers import Informer, KubernetesObject, Tombstone
from kube import PODS, QISKIT_JOBS, PartialObject
from reconcilers.job import POD_SELECTOR

T = TypeVar("T", bound=KubernetesObject)

NAME = "jobs"
BARE = Contender("bare client", "bench.contender.jobs_bare")
KOPF = Contender("kopf", "bench.contender.jobs_kopf", "create")
KOPF_EVENT = Contender("kopf, low-level", "bench.contender.jobs_kopf", "event")
CONTENDERS = (OPERATOR, BARE, KOPF, KOPF_EVENT)

NODES_WRITES = 3
"""Of the writes to pods and ConfigMaps that a job takes, those that the node makes."""

SETTLE = 3.0
PAUSE = 0.1


class _Status(msgspec.Struct, frozen=True, gc=False):
    phase: str = ""


class _Job(msgspec.Struct, frozen=True):
    metadata: ObjectMeta
    status: _Status = _Status()


class Seen:
    """When the first pod of a job was seen, and when the job was Completed. Times of the monotonic clock."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.pods: dict[str, float] = {}
        self.completed: dict[str, float] = {}
        self._changed = asyncio.Event()
        self._jobs = Informer(cluster.client, QISKIT_JOBS, _Job, namespace=namespace)
        self._pods = Informer(
            cluster.client,
            PODS,
            PartialObject,
            namespace=namespace,
            label_selector=POD_SELECTOR,
            metadata_only=True,
        )
        self._jobs.add_handler(_Each(self._job))
        self._pods.add_handler(_Each(self._pod))

    @asynccontextmanager
    async def following(self) -> AsyncIterator[Seen]:
        """Watch for as long as the block lasts."""
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(informer.run()) for informer in (self._jobs, self._pods)]
            await self._jobs.wait_synced()
            await self._pods.wait_synced()
            yield self
            for task in tasks:
                task.cancel()

    async def until(self, completed: set[str], seconds: float) -> None:
        """Wait until all of these jobs are Completed."""
        try:
            async with asyncio.timeout(seconds):
                while not completed <= self.completed.keys():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            phases = Counter(job.status.phase for job in self._jobs.list())
            raise Failed(f"not all jobs were Completed within {seconds} s; their phases: {phases}") from None

    def _job(self, job: _Job) -> None:
        if job.status.phase == "Completed":
            self.completed.setdefault(job.metadata.name, time.monotonic())
            self._changed.set()

    def _pod(self, pod: PartialObject) -> None:
        self.pods.setdefault(pod.metadata.labels.get(LABEL_JOB_NAME, ""), time.monotonic())


class _Each(Generic[T]):
    def __init__(self, look: Callable[[T], None]) -> None:
        self._look = look

    def on_add(self, obj: T, initial: bool) -> None:
        self._look(obj)

    def on_update(self, old: T, new: T) -> None:
        self._look(new)

    def on_delete(self, last: T | Tombstone[T]) -> None:
        pass


async def measure(cluster: Cluster, plan: Plan, report: Report) -> None:
    """Run every contender `plan.repeats` times, in turn."""
    rounds: dict[str, list[dict[str, float]]] = {contender.name: [] for contender in CONTENDERS}
    delays: dict[str, list[list[float]]] = {contender.name: [] for contender in CONTENDERS}
    for _ in range(plan.repeats):
        for contender in CONTENDERS:
            figures, to_pod = await _round(cluster, plan, contender)
            rounds[contender.name].append(figures)
            delays[contender.name].append(to_pod)
    units = {
        "jobs/s": "1/s",
        "CPU a job": "ms",
        "API server CPU a job": "ms",
        "writes a job": "requests",
        "events a job": "requests",
        "memory at the end": "MB",
    }
    rivals = (BARE, KOPF, KOPF_EVENT)
    for metric, unit in units.items():
        found = {name: over_repeats([run[metric] for run in runs]) for name, runs in rounds.items()}
        for rival in rivals:
            baseline = (rival.name, found[rival.name])
            report.add(f"{metric}, against {rival.name}", unit, found[OPERATOR.name], baseline)
    times = {name: over_samples(repeats) for name, repeats in delays.items()}
    for rival in rivals:
        report.add(
            f"create to pod, against {rival.name}",
            "ms",
            times[OPERATOR.name],
            (rival.name, times[rival.name]),
        )


async def _round(cluster: Cluster, plan: Plan, contender: Contender) -> tuple[dict[str, float], list[float]]:
    jobs = min(plan.objects, MOST_WRITTEN)
    async with (
        cluster.namespace() as namespace,
        running(NODE, cluster.plane, namespace=namespace, workers=1) as node,
        Seen(cluster, namespace).following() as seen,
    ):
        url = (await node.until("ready", 60))["url"]
        async with running(
            contender, cluster.plane, namespace=namespace, workers=plan.workers, validation_url=url
        ) as process:
            await process.until("ready", 60)
            await _warm_up(cluster, namespace, seen)
            to_pod = await _singles(cluster, plan, namespace, seen)
            before: Measured = await process.measure()
            writes, server_cpu = await cluster.writes(), cluster.apiserver_cpu()
            began = time.monotonic()
            names = [f"burst-{number:05d}" for number in range(jobs)]
            await many(lambda name: cluster.client.create(QISKIT_JOBS, job(name), namespace), names)
            await seen.until(set(names), 60 + jobs)
            took = max(seen.completed[name] for name in names) - began
            server_cpu = cluster.apiserver_cpu() - server_cpu
            after = await process.measure()
            await asyncio.sleep(SETTLE)  # the last events, and what the node still says of its pods
            made = {name: count - writes.get(name, 0) for name, count in (await cluster.writes()).items()}
    events = made.pop("events", 0)
    return (
        {
            "jobs/s": jobs / took,
            "CPU a job": (after.cpu - before.cpu) / jobs * 1e3,
            "API server CPU a job": server_cpu / jobs * 1e3,
            "writes a job": sum(made.values()) / jobs - 1 - NODES_WRITES,
            "events a job": events / jobs,
            "memory at the end": after.rss / 1e6,
        },
        to_pod,
    )


async def _warm_up(cluster: Cluster, namespace: str, seen: Seen) -> None:
    await cluster.client.create(QISKIT_JOBS, job("warm-up"), namespace)
    await seen.until({"warm-up"}, 60)


async def _singles(cluster: Cluster, plan: Plan, namespace: str, seen: Seen) -> list[float]:
    """Milliseconds from the create of a job to its pod, one job at a time."""
    sent: dict[str, float] = {}
    for number in range(plan.samples):
        name = f"single-{number:04d}"
        sent[name] = time.monotonic()
        await cluster.client.create(QISKIT_JOBS, job(name), namespace)
        await seen.until({name}, 60)
        await asyncio.sleep(PAUSE)
    return [(seen.pods[name] - at) * 1e3 for name, at in sent.items()]
