"""Circuits on the local cluster, from submit to result, cold and on warm executors.

Real control plane, real node (without containers), real validation, real executors. One job after the other;
counted from the moment at which the create is sent to the watch event that shows the job Completed. The rival
does the same work without any cluster: a Python process that imports Qiskit and Aer, simulates, and prints.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from bench.figures import Figures, over_samples
from bench.finishes import watching
from bench.pools import DEADLINE, until_warm
from bench.report import Report
from kube import (
    NAMESPACES,
    QISKIT_BACKENDS,
    QISKIT_JOBS,
    SERVICE_ACCOUNTS,
    Client,
    NotFound,
    load_configuration,
)
from localcluster.cluster import LocalCluster

NAME = "jobs_local"
QUBITS = (2, 5, 10)
WARM_PODS = 2

PAUSE = 0.2
"""Seconds between jobs: what a job leaves behind is over, and a warm pod that was made waits for work."""


def code(qubits: int) -> str:
    """A GHZ state; for two qubits a Bell pair."""
    return (
        f"from qiskit import QuantumCircuit\n\nqc = QuantumCircuit({qubits})\nqc.h(0)\n"
        f"for q in range({qubits - 1}):\n    qc.cx(q, q + 1)\nqc.measure_all()\n"
    )


def same_work(qubits: int) -> str:
    """What the rival runs."""
    return (
        f"{code(qubits)}\nfrom qiskit import transpile\nfrom qiskit_aer import AerSimulator\n\n"
        "simulator = AerSimulator()\n"
        "compiled = transpile(qc, simulator, optimization_level=1)\n"
        "print(simulator.run(compiled, shots=1024).result().get_counts())\n"
    )


def job(name: str, qubits: int, backend: str | None = None) -> dict[str, Any]:
    """A job of the circuit; with `backend`, on the QiskitBackend of that name."""
    chosen = {"type": "local_simulator"} | ({"name": backend} if backend else {})
    return {
        "apiVersion": QISKIT_JOBS.api_version,
        "kind": QISKIT_JOBS.kind,
        "metadata": {"name": name},
        "spec": {"backend": chosen, "circuit": {"source": "inline", "code": code(qubits)}},
    }


async def measure(client: Client, samples: int, report: Report) -> None:
    """Fill the report."""
    alone = {qubits: await _processes(qubits, samples) for qubits in QUBITS}
    async with _namespace(client) as namespace:
        cold = {qubits: await _jobs(client, namespace, qubits, samples) for qubits in QUBITS}
        async with _warm_backend(client, namespace) as backend:
            warm = {qubits: await _jobs(client, namespace, qubits, samples, backend) for qubits in QUBITS}
    for qubits in QUBITS:
        rival = ("process", alone[qubits])
        report.add(f"{qubits} qubits, warm, submit to result", "ms", warm[qubits], rival)
        report.add(f"{qubits} qubits, cold, submit to result", "ms", cold[qubits], rival)


async def _jobs(
    client: Client, namespace: str, qubits: int, samples: int, backend: str | None = None
) -> Figures:
    """Milliseconds of each job; the first, which may meet cold caches, is not counted."""
    took: list[float] = []
    kind = "warm" if backend else "cold"
    async with watching(client, QISKIT_JOBS, namespace, _completed) as finishes:
        for number in range(samples + 1):
            if backend is not None:
                await until_warm(client, namespace, backend, WARM_PODS)
            await asyncio.sleep(PAUSE)
            name = f"{kind}-{qubits}-{number}"
            sent = time.monotonic()
            await client.create(QISKIT_JOBS, job(name, qubits, backend), namespace)
            took.append((await finishes.of(name) - sent) * 1e3)
    return over_samples([took[1:]])


async def _processes(qubits: int, samples: int) -> Figures:
    took: list[float] = []
    for _ in range(samples + 1):
        began = time.monotonic()
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", same_work(qubits), stdout=asyncio.subprocess.PIPE
        )
        printed, _ = await process.communicate()
        took.append((time.monotonic() - began) * 1e3)
        if process.returncode != 0 or not printed:
            raise RuntimeError(f"the rival ended with {process.returncode}")
    return over_samples([took[1:]])


def _completed(shown: dict[str, Any]) -> bool:
    phase = shown.get("status", {}).get("phase")
    if phase == "Failed":
        raise RuntimeError(f"{shown['metadata']['name']}: {shown['status'].get('message')}")
    return bool(phase == "Completed")


@asynccontextmanager
async def _namespace(client: Client) -> AsyncIterator[str]:
    name = f"bench-{secrets.token_hex(4)}"
    await client.create(NAMESPACES, {"metadata": {"name": name}})
    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                await client.get(SERVICE_ACCOUNTS, "default", name)
                break
            except NotFound:
                await asyncio.sleep(0.05)
    yield name


@asynccontextmanager
async def _warm_backend(client: Client, namespace: str) -> AsyncIterator[str]:
    spec = {"type": "local_simulator", "warmPool": {"size": WARM_PODS}}
    body = {"apiVersion": QISKIT_BACKENDS.api_version, "kind": QISKIT_BACKENDS.kind}
    await client.create(QISKIT_BACKENDS, body | {"metadata": {"name": "warm"}, "spec": spec}, namespace)
    yield "warm"
    await client.delete(QISKIT_BACKENDS, "warm", namespace)


async def run(samples: int, report: Report) -> None:
    """Measure on a local cluster of its own."""
    async with LocalCluster.start() as running:
        configuration = await load_configuration(str(running.plane.kubeconfig))
        async with Client(configuration, user_agent="bench") as client:
            await measure(client, samples, report)
