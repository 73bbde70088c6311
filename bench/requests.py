"""What one request costs the process that makes it: the client's processor time, over TLS, one after the other.

The controller makes eight for a job, so this decides a third of what a job costs.
"""

from __future__ import annotations

from bench.cluster import Cluster
from bench.contenders import Contender, running
from bench.figures import over_repeats
from bench.plan import MOST_WRITTEN, Plan
from bench.report import Report
from kube import CONFIG_MAPS

NAME = "requests"
MODULE = "bench.contender.requesting"
WAYS = {"ours": "ours", "aiohttp": "aiohttp", "kubernetes-asyncio": "generated"}
METRICS = {"get": "CPU of a get", "patch": "CPU of a merge patch"}

TARGET = "target"
SIZE = 2000
"""Bytes in the ConfigMap that is read and patched: about what a job's status is."""


async def measure(cluster: Cluster, plan: Plan, report: Report) -> None:
    """Let every client make its requests `plan.repeats` times, in turn."""
    requests = min(plan.objects, MOST_WRITTEN)
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in WAYS}
    async with cluster.namespace() as namespace:
        body = {"metadata": {"name": TARGET}, "data": {"text": "x" * SIZE}}
        await cluster.client.create(CONFIG_MAPS, body, namespace)
        for _ in range(plan.repeats):
            for name, way in WAYS.items():
                contender = Contender(name, MODULE, way)
                async with running(
                    contender, cluster.plane, namespace=namespace, workers=1, expect=requests
                ) as process:
                    made = await process.until("requested", 60 + requests / 10)
                runs[name].append({kind: float(made[kind]) for kind in METRICS})
    for kind, metric in METRICS.items():
        figures = {name: over_repeats([run[kind] for run in found]) for name, found in runs.items()}
        for rival in list(WAYS)[1:]:
            report.add(f"{metric}, against {rival}", "us", figures["ours"], (rival, figures[rival]))
