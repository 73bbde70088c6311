"""What it takes to have a large collection of pods in memory, and to keep it there.

`decode and cache` leaves out the API server and the connection: the response is in memory when the clock
starts. `list to cache` has everything in it, as a start of a process or a relist has.
"""

from __future__ import annotations

from bench.cluster import Cluster, many
from bench.contenders import Contender, running
from bench.figures import over_repeats
from bench.plan import Plan
from bench.pods import pod, running_status
from bench.report import Report
from kube import PODS

NAME = "list_and_cache"
MODULE = "bench.contender.listing"
WAYS = {"ours": "ours", "kubernetes-asyncio models": "generated", "plain dicts": "dicts"}


async def measure(cluster: Cluster, plan: Plan, report: Report) -> None:
    """Make the pods, then let every way read them `plan.repeats` times, in turn."""
    async with cluster.namespace() as namespace:
        await _furnish(cluster, namespace, plan.objects)
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in WAYS}
        for _ in range(plan.repeats):
            for name, way in WAYS.items():
                whole = await _run(cluster, namespace, plan, way)
                decoding = await _run(cluster, namespace, plan, f"{way}:decode")
                runs[name].append(
                    {
                        "decode and cache": decoding["wall"],
                        "list to cache": whole["wall"],
                        "CPU of list to cache": whole["cpu"],
                        "kept an object": whole["kept"] / plan.objects / 1e3,
                        "peak memory": whole["peak"] / 1e6,
                    }
                )
    units = {
        "decode and cache": "s",
        "list to cache": "s",
        "CPU of list to cache": "s",
        "kept an object": "KB",
        "peak memory": "MB",
    }
    for metric, unit in units.items():
        figures = {name: over_repeats([run[metric] for run in found]) for name, found in runs.items()}
        for rival in list(WAYS)[1:]:
            report.add(f"{metric}, against {rival}", unit, figures["ours"], (rival, figures[rival]))


async def _furnish(cluster: Cluster, namespace: str, objects: int) -> None:
    async def one(name: str) -> None:
        await cluster.client.create(PODS, pod(name), namespace)
        await cluster.client.merge_patch(PODS, name, running_status(), namespace, subresource="status")

    await many(one, [f"pod-{number:05d}" for number in range(objects)])


async def _run(cluster: Cluster, namespace: str, plan: Plan, style: str) -> dict[str, float]:
    contender = Contender(style, MODULE, style)
    async with running(contender, cluster.plane, namespace=namespace, workers=1, expect=0) as process:
        listed = await process.until("listed", 60 + plan.objects / 10)
    if listed["objects"] != plan.objects:
        raise AssertionError(f"{style} has {listed['objects']} of {plan.objects} objects")
    return {name: float(listed[name]) for name in ("wall", "cpu", "kept", "peak")}
