"""From the start of the process to the first new object's child, where thousands of finished objects lie about.

Imports, connection, lists, decoding and the passes at what is finished all come before it.
"""

from __future__ import annotations

import asyncio

from bench.cluster import Cluster
from bench.contenders import KOPF, KOPF_EVENT, OURS, Contender, running
from bench.figures import over_repeats
from bench.plan import Plan
from bench.report import Report

NAME = "cold_start"
CONTENDERS = (OURS, KOPF, KOPF_EVENT)


async def measure(cluster: Cluster, plan: Plan, report: Report) -> None:
    """Start every contender `plan.repeats` times, in turn, on the same objects."""
    async with cluster.namespace() as namespace:
        await _furnish(cluster, plan, namespace)
        rounds: dict[str, list[dict[str, float]]] = {contender.name: [] for contender in CONTENDERS}
        for number in range(plan.repeats):
            for place, contender in enumerate(CONTENDERS):
                name = f"new-{number}-{place}"
                rounds[contender.name].append(await _round(cluster, plan, contender, namespace, name))
    for metric, unit in {"first child after start": "s", "memory then": "MB", "CPU until then": "s"}.items():
        figures = {name: over_repeats([run[metric] for run in runs]) for name, runs in rounds.items()}
        for rival in (KOPF, KOPF_EVENT):
            report.add(
                f"{metric}, against {rival.name}",
                unit,
                figures[OURS.name],
                (rival.name, figures[rival.name]),
            )


async def _furnish(cluster: Cluster, plan: Plan, namespace: str) -> None:
    """Let kopf finish the samples: it takes objects without its own notes on them for new ones."""
    await cluster.create_samples(namespace, [f"old-{number:05d}" for number in range(plan.objects)])
    async with running(
        KOPF,
        cluster.plane,
        namespace=namespace,
        workers=plan.workers,
        expect=plan.objects,
    ) as process:
        await process.until("done", 60 + plan.objects)
        await asyncio.sleep(1)  # its notes on the last ones are written after their status


async def _round(
    cluster: Cluster, plan: Plan, contender: Contender, namespace: str, name: str
) -> dict[str, float]:
    await cluster.create_samples(namespace, [name])
    async with running(
        contender,
        cluster.plane,
        namespace=namespace,
        workers=plan.workers,
        expect=1,
    ) as process:
        await process.until("done", 120 + plan.objects / 20)
        measured = await process.measure()
    return {
        "first child after start": measured.posted[name] - process.started,
        "memory then": measured.rss / 1e6,
        "CPU until then": measured.cpu,
    }
