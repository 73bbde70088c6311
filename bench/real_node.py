"""Bell jobs on real nodes, beside a bare Job and a bare pod that do the same work: `make bench-cluster`.

A Bell pair, 1024 shots, one after the other on an idle cluster; counted from the moment at which the create
is sent to the watch event that shows the end. The bare Job and the bare pod run the executor's own image, so
that what differs is the operator: they import Qiskit and Aer, simulate the circuit, and print the counts. Then a
hundred such jobs, four at a time, with what the controller used meanwhile, as its kubelet counts it.

Needs $KUBECONFIG, and a cluster with nothing else to do, into which it installs the operator.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from bench import goals, machine
from bench.figures import Figures, over_repeats, over_samples
from bench.finishes import Finished, watching
from bench.pools import until_warm
from bench.report import Report
from e2e.suite.installing import install
from e2e.suite.kubectl import Kubectl
from kube import NAMESPACES, PODS, QISKIT_BACKENDS, QISKIT_JOBS, Client, Resource, load_configuration
from messages.version import VERSION

NAME = "real_node"
JOBS = Resource("batch", "v1", "jobs", "Job")
IMAGE = f"qiskit-operator/executor:{VERSION}"
OPERATOR = "qiskit-operator"
AT_A_TIME = 4
WARM_PODS = 2

PAUSE = 1.0
"""Seconds before each sample: the node has ended and removed the pod of the last one."""

BELL = """\
from qiskit import QuantumCircuit

qc = QuantumCircuit(2)
qc.h(0)
qc.cx(0, 1)
qc.measure_all()
"""

SAME_WORK = f"""\
{BELL}
from qiskit import transpile
from qiskit_aer import AerSimulator

simulator = AerSimulator()
print(simulator.run(transpile(qc, simulator, optimization_level=1), shots=1024).result().get_counts())
"""

_RESOURCES = {"requests": {"cpu": "250m", "memory": "256Mi"}, "limits": {"cpu": "1", "memory": "512Mi"}}
"""What the operator gives a Bell job's pod by itself."""


@dataclass(frozen=True, slots=True)
class Work:
    """One way of running the circuit: what is created, and when it is done."""

    name: str
    resource: Resource
    manifest: Callable[[str], dict[str, Any]]
    finished: Finished


def qiskit_job(name: str, backend: str | None = None) -> dict[str, Any]:
    """A Bell job; with `backend`, on the QiskitBackend of that name."""
    chosen = {"type": "local_simulator"} | ({"name": backend} if backend else {})
    return {
        "apiVersion": "quantum.io/v1",
        "kind": "QiskitJob",
        "metadata": {"name": name},
        "spec": {"backend": chosen, "circuit": {"source": "inline", "code": BELL}},
    }


def _pod_spec() -> dict[str, Any]:
    container = {
        "name": "bell",
        "image": IMAGE,
        "command": ["python", "-c", SAME_WORK],
        "env": [{"name": "OMP_NUM_THREADS", "value": "1"}],
        "resources": _RESOURCES,
    }
    return {"restartPolicy": "Never", "automountServiceAccountToken": False, "containers": [container]}


def bare_pod(name: str) -> dict[str, Any]:
    """A pod that does the same work."""
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": _pod_spec()}


def bare_job(name: str, completions: int = 1, parallelism: int = 1) -> dict[str, Any]:
    """A Job that does the same work, once or many times."""
    spec = {"completions": completions, "parallelism": parallelism, "template": {"spec": _pod_spec()}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}


def _completed(job: dict[str, Any]) -> bool:
    phase = job.get("status", {}).get("phase")
    if phase == "Failed":
        raise RuntimeError(f"{job['metadata']['name']}: {job['status'].get('message')}")
    return bool(phase == "Completed")


def _has_completion(job: dict[str, Any]) -> bool:
    return "completionTime" in job.get("status", {})


def _succeeded(pod: dict[str, Any]) -> bool:
    return bool(pod.get("status", {}).get("phase") == "Succeeded")


COLD = Work("cold", QISKIT_JOBS, qiskit_job, _completed)
WARM = Work("warm", QISKIT_JOBS, lambda name: qiskit_job(name, "warm"), _completed)
BARE_JOB = Work("bare Job", JOBS, bare_job, _has_completion)
BARE_POD = Work("bare pod", PODS, bare_pod, _succeeded)


async def measure(client: Client, samples: int, many: int, report: Report) -> None:
    """Fill the report."""
    async with _namespace(client) as namespace:
        seconds = {
            work.name: await _one_by_one(client, namespace, work, samples)
            for work in (COLD, BARE_JOB, BARE_POD)
        }
        async with _backend(client, namespace, "warm", warmPool={"size": WARM_PODS}):
            seconds["warm"] = await _one_by_one(client, namespace, WARM, samples)
    figures = {name: over_samples([values]) for name, values in seconds.items()}
    for ours in ("warm", "cold"):
        for rival in ("bare Job", "bare pod"):
            report.add(f"Bell {ours}, against a {rival}", "s", figures[ours], (rival, figures[rival]))
    async with _namespace(client) as namespace:
        bare = await _many_bare(client, namespace, many)
    async with _namespace(client) as namespace:
        before, began = await _usage(client), time.monotonic()
        async with _backend(client, namespace, "four", limits={"concurrentJobs": AT_A_TIME}):
            ours_rate = await _many(client, namespace, "four", many)
        after, ended = await _usage(client), time.monotonic()
    name = f"{many} Bell jobs, {AT_A_TIME} at a time"
    report.add(name, "jobs/s", _single(ours_rate), ("bare Job", _single(bare)))
    report.add("controller's CPU a job meanwhile", "ms", _single((after[0] - before[0]) * 1e3 / many))
    report.add("controller's CPU meanwhile", "cores", _single((after[0] - before[0]) / (ended - began)))
    report.add("controller's memory afterwards", "MiB", _single(after[1] / 2**20))
    async with _namespace(client) as namespace:
        limits = {"concurrentJobs": AT_A_TIME}
        async with _backend(client, namespace, "pool", limits=limits, warmPool={"size": AT_A_TIME}):
            rate = await _many(client, namespace, "pool", many)
    report.add(f"{name}, with a warm pool", "jobs/s", _single(rate), ("bare Job", _single(bare)))


async def _one_by_one(client: Client, namespace: str, work: Work, samples: int) -> list[float]:
    """Seconds of each sample; the first, which may meet cold caches, is not counted."""
    seconds = []
    async with watching(client, work.resource, namespace, work.finished) as finishes:
        for number in range(samples + 1):
            if work is WARM:
                await until_warm(client, namespace, "warm", WARM_PODS)
            await asyncio.sleep(PAUSE)
            name = f"{work.name.lower().replace(' ', '-')}-{number}"
            sent = time.monotonic()
            await client.create(work.resource, work.manifest(name), namespace)
            seconds.append(await finishes.of(name) - sent)
            await client.delete(work.resource, name, namespace, propagation_policy="Background")
    return seconds[1:]


async def _many(client: Client, namespace: str, backend: str, many: int) -> float:
    """Jobs a second, from the first create to the last end."""
    async with watching(client, QISKIT_JOBS, namespace, _completed) as finishes:
        names = [f"bell-{number}" for number in range(many)]
        sent = time.monotonic()
        for name in names:
            await client.create(QISKIT_JOBS, qiskit_job(name, backend), namespace)
        last = max([await finishes.of(name) for name in names])
    return many / (last - sent)


async def _many_bare(client: Client, namespace: str, many: int) -> float:
    async with watching(client, JOBS, namespace, _has_completion) as finishes:
        sent = time.monotonic()
        await client.create(JOBS, bare_job("many", many, AT_A_TIME), namespace)
        return many / (await finishes.of("many") - sent)


async def _usage(client: Client) -> tuple[float, float]:
    """CPU seconds so far and bytes of memory now, of the controller's containers, as their kubelets say."""
    label = "app.kubernetes.io/name=qiskit-operator-controller"
    pods = json.loads(await client.list(PODS, OPERATOR, label_selector=label))["items"]
    cpu = memory = 0.0
    for pod in pods:
        path = f"/api/v1/nodes/{pod['spec']['nodeName']}/proxy/stats/summary"
        summary = json.loads(await client.raw("GET", path))
        for seen in summary["pods"]:
            if seen["podRef"]["uid"] == pod["metadata"]["uid"]:
                cpu += seen["containers"][0]["cpu"]["usageCoreNanoSeconds"] / 1e9
                memory += seen["containers"][0]["memory"]["workingSetBytes"]
    return cpu, memory


@asynccontextmanager
async def _namespace(client: Client) -> AsyncIterator[str]:
    name = f"bench-{secrets.token_hex(4)}"
    await client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    try:
        yield name
    finally:
        await client.delete(NAMESPACES, name)


@asynccontextmanager
async def _backend(client: Client, namespace: str, name: str, **spec: Any) -> AsyncIterator[None]:
    manifest = {
        "apiVersion": "quantum.io/v1",
        "kind": "QiskitBackend",
        "metadata": {"name": name},
        "spec": {"type": "local_simulator", **spec},
    }
    await client.create(QISKIT_BACKENDS, manifest, namespace)
    if "warmPool" in spec:
        await until_warm(client, namespace, name, spec["warmPool"]["size"])
    yield
    await client.delete(QISKIT_BACKENDS, name, namespace)


def _single(value: float) -> Figures:
    return over_repeats([value])


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, write bench/results/real_node.json."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.real_node", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--many", type=int, default=100, help="jobs of the throughput's run")
    options = parser.parse_args(argv)
    report = Report(NAME, options.samples, goals.load(), machine.describe(), image=IMAGE)
    install(Kubectl(os.environ.get("KUBECTL", "kubectl")), "default")
    asyncio.run(_run(options.samples, options.many, report))
    console = Console(width=160 if not sys.stdout.isatty() else None)
    report.show(console)
    console.print(f"written to {report.write()}")
    return 1 if report.broken else 0


async def _run(samples: int, many: int, report: Report) -> None:
    async with Client(await load_configuration(), user_agent="bench") as client:
        await measure(client, samples, many, report)


if __name__ == "__main__":
    sys.exit(main())
