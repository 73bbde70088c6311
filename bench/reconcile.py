"""How many samples a second get their ConfigMap and their status, and what each costs.

The samples are there before the contender starts, so that nothing else loads the API server meanwhile. The rate
and the processor time count from the first pass to the last finished sample.
"""

from __future__ import annotations

from bench.cluster import Cluster
from bench.contenders import BARE, KOPF, KOPF_EVENT, OURS, Contender, Measured, running
from bench.figures import over_repeats
from bench.plan import MOST_WRITTEN, Plan
from bench.report import Report

NAME = "reconcile"
CONTENDERS = (OURS, BARE, KOPF, KOPF_EVENT)


async def measure(cluster: Cluster, plan: Plan, report: Report) -> None:
    """Run every contender `plan.repeats` times, in turn."""
    rounds: dict[str, list[dict[str, float]]] = {contender.name: [] for contender in CONTENDERS}
    for _ in range(plan.repeats):
        for contender in CONTENDERS:
            rounds[contender.name].append(await _round(cluster, plan, contender))
    units = {
        "objects/s": "1/s",
        "CPU an object": "ms",
        "API server CPU an object": "ms",
        "writes an object": "requests",
        "passes an object": "passes",
        "memory at the end": "MB",
    }
    for metric, unit in units.items():
        figures = {name: over_repeats([run[metric] for run in runs]) for name, runs in rounds.items()}
        for rival in (BARE, KOPF, KOPF_EVENT):
            report.add(
                f"{metric}, against {rival.name}",
                unit,
                figures[OURS.name],
                (rival.name, figures[rival.name]),
            )


async def _round(cluster: Cluster, plan: Plan, contender: Contender) -> dict[str, float]:
    objects = min(plan.objects, MOST_WRITTEN)
    async with cluster.namespace() as namespace:
        names = [f"sample-{number:05d}" for number in range(objects)]
        await cluster.create_samples(namespace, names)
        writes, server_cpu = await cluster.writes(), cluster.apiserver_cpu()
        async with running(
            contender,
            cluster.plane,
            namespace=namespace,
            workers=plan.workers,
            expect=objects,
        ) as process:
            await process.until("done", 60 + objects)
            server_cpu = cluster.apiserver_cpu() - server_cpu
            measured = await process.measure()
        after = await cluster.writes()
    made = sum(after.values()) - sum(writes.values())
    return {
        "objects/s": objects / elapsed(measured),
        "CPU an object": measured.cpu_of_passes / objects * 1e3,
        "API server CPU an object": server_cpu / objects * 1e3,
        "writes an object": made / objects,
        "passes an object": measured.passes / objects,
        "memory at the end": measured.rss / 1e6,
    }


def elapsed(measured: Measured) -> float:
    """Seconds from the first pass to the last finished sample."""
    return max(measured.finished.values()) - min(measured.began.values())
