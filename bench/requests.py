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
CLIENTS = Contender("clients", "bench.contender.requesting")
OURS = "kube.Client"
RIVALS = ("aiohttp", "kubernetes-asyncio")
NAMES = (OURS, *RIVALS)
METRICS = {"get": "CPU of a get", "patch": "CPU of a merge patch"}

TARGET = "target"
SIZE = 2000
"""Bytes in the ConfigMap that is read and patched: about what a job's status is."""


async def measure(cluster: Cluster, plan: Plan, report: Report) -> None:
    """Let all clients make their requests in turn, in one process, `plan.repeats` times."""
    requests = min(plan.objects, MOST_WRITTEN)
    runs: list[dict[str, float]] = []
    async with cluster.namespace() as namespace:
        body = {"metadata": {"name": TARGET}, "data": {"text": "x" * SIZE}}
        await cluster.client.create(CONFIG_MAPS, body, namespace)
        for _ in range(plan.repeats):
            async with running(
                CLIENTS, cluster.plane, namespace=namespace, workers=1, expect=requests
            ) as process:
                runs.append((await process.until("requested", 60 + requests / 10))["microseconds"])
    for kind, metric in METRICS.items():
        figures = {name: over_repeats([run[f"{kind} {name}"] for run in runs]) for name in NAMES}
        for rival in RIVALS:
            report.add(f"{metric}, against {rival}", "us", figures[OURS], (rival, figures[rival]))
