"""What the operator keeps in memory when it has nothing to do: on an empty cluster, and on one full of history.

`resident` counts shared pages, as a container's limit does in part; `private` is this process's alone.
"""

from __future__ import annotations

import asyncio

from bench.cluster import Cluster
from bench.contenders import KOPF, OPERATOR, OPERATOR_KUBECONFIG, Contender, Measured, running
from bench.figures import over_repeats
from bench.finished import finish
from bench.plan import Plan
from bench.report import Report

NAME = "memory"

CALM = 5.0
"""Seconds after the start before memory is read: first passes are over, garbage was collected."""

IDLE = 10.0
"""Seconds over which an idle process's use of the processor is counted."""


async def measure(cluster: Cluster, plan: Plan, report: Report) -> None:
    """Start the operator beside nothing, then beside `plan.objects` finished jobs."""
    async with cluster.namespace() as namespace:
        empty = [await _round(cluster, plan, OPERATOR, namespace) for _ in range(plan.repeats)]
        loaded = [await _round(cluster, plan, OPERATOR_KUBECONFIG, namespace) for _ in range(plan.repeats)]
        kopf = [await _round(cluster, plan, KOPF, namespace) for _ in range(plan.repeats)]
        await finish(cluster, namespace, [f"job-{number:05d}" for number in range(plan.objects)])
        full = [await _round(cluster, plan, OPERATOR, namespace) for _ in range(plan.repeats)]
    baseline = ("kopf", over_repeats([run["resident"] for run in kopf]))
    report.add("idle, resident", "MB", over_repeats([run["resident"] for run in empty]), baseline)
    report.add("idle, private", "MB", over_repeats([run["private"] for run in empty]))
    report.add("idle with a kubeconfig, resident", "MB", over_repeats([run["resident"] for run in loaded]))
    report.add("finished jobs, resident", "MB", over_repeats([run["resident"] for run in full]))
    kept = [
        (one["private"] - other["private"]) * 1e3 / plan.objects
        for one, other in zip(full, empty, strict=True)
    ]
    report.add("kept for a finished job, its pod and its result", "KB", over_repeats(kept))
    report.add("idle, processor", "%", over_repeats([run["processor"] for run in empty]))


async def _round(cluster: Cluster, plan: Plan, contender: Contender, namespace: str) -> dict[str, float]:
    async with running(contender, cluster.plane, namespace=namespace, workers=plan.workers) as process:
        if contender is not KOPF:
            await process.until("ready", 60 + plan.objects / 10)
        await asyncio.sleep(CALM)
        before: Measured = await process.measure()
        await asyncio.sleep(IDLE)
        after = await process.measure()
    return {
        "resident": after.rss / 1e6,
        "private": after.uss / 1e6,
        "processor": (after.cpu - before.cpu) / IDLE * 100,
    }
