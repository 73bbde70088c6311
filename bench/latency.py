"""How long an idle controller takes to notice one new object, and to have its child made.

Counted from the moment at which the request that creates the sample is sent: a create, a watch event, a pass,
and for the child one more create.
"""

from __future__ import annotations

import asyncio
import time

from bench.cluster import Cluster, sample
from bench.contenders import BARE, KOPF, KOPF_EVENT, OURS, Contender, running
from bench.figures import over_samples
from bench.plan import Plan
from bench.report import Report
from bench.sample import SAMPLES

NAME = "latency"
CONTENDERS = (OURS, BARE, KOPF, KOPF_EVENT)

PAUSE = 0.05
"""Seconds between samples: the cluster is idle before each."""

SETTLE = 2.0
"""Seconds that a contender has to open its watches after it has done its first sample."""


async def measure(cluster: Cluster, plan: Plan, report: Report) -> None:
    """Send `plan.samples` samples, one after the other, to every contender, `plan.repeats` times in turn."""
    noticed: dict[str, list[list[float]]] = {contender.name: [] for contender in CONTENDERS}
    made: dict[str, list[list[float]]] = {contender.name: [] for contender in CONTENDERS}
    for _ in range(plan.repeats):
        for contender in CONTENDERS:
            to_pass, to_child = await _round(cluster, plan, contender)
            noticed[contender.name].append(to_pass)
            made[contender.name].append(to_child)
    for metric, samples in {"create to pass": noticed, "create to child": made}.items():
        figures = {name: over_samples(repeats) for name, repeats in samples.items()}
        for rival in (BARE, KOPF, KOPF_EVENT):
            report.add(
                f"{metric}, against {rival.name}", "ms", figures[OURS.name], (rival.name, figures[rival.name])
            )


async def _round(cluster: Cluster, plan: Plan, contender: Contender) -> tuple[list[float], list[float]]:
    """Milliseconds from each create to the pass that saw it, and to its child."""
    sent: dict[str, float] = {}
    async with cluster.namespace() as namespace:
        await cluster.create_samples(namespace, ["first"])
        async with running(
            contender,
            cluster.plane,
            namespace=namespace,
            workers=plan.workers,
            expect=1,
        ) as process:
            await process.until("done", 60)
            await asyncio.sleep(SETTLE)
            for number in range(plan.samples):
                name = f"sample-{number:05d}"
                sent[name] = time.monotonic()
                await cluster.client.create(SAMPLES, sample(name), namespace)
                await asyncio.sleep(PAUSE)
            measured = await process.measure()
            async with asyncio.timeout(60):
                while not sent.keys() <= measured.finished.keys():
                    await asyncio.sleep(0.5)
                    measured = await process.measure()
    return (
        [(measured.began[name] - at) * 1e3 for name, at in sent.items()],
        [(measured.posted[name] - at) * 1e3 for name, at in sent.items()],
    )
