"""How long a job takes from its create to its executor's pod on an idle cluster, with real validation.

The validation service is the product's own process: it builds the circuit in a sandboxed child of a zygote that
has Qiskit loaded. The rival is a bare client that makes the same three calls, to the service for one. What the
service takes by itself is measured beside them, since it is most of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from bench.cluster import Cluster
from bench.contenders import NODE, OPERATOR, Contender, running
from bench.figures import over_samples
from bench.jobs import Seen
from bench.plan import Plan
from bench.real_node import BELL, qiskit_job
from bench.report import Report
from kube import QISKIT_JOBS

NAME = "jobs_validated"
BARE = Contender("bare client", "bench.contender.jobs_bare_validating")
ROOT = Path(__file__).parent.parent

WARM_UP = 3
"""Jobs that are not counted: connections, imports and the namespace's NetworkPolicy are made with the first."""

PAUSE = 0.25
"""Seconds between jobs: the operator has brought the one before to its end, and the cluster is idle."""

DEADLINE = 120.0


async def measure(cluster: Cluster, plan: Plan, report: Report) -> None:
    """Send `plan.samples` jobs, one after the other, to both, `plan.repeats` times in turn."""
    delays: dict[str, list[list[float]]] = {contender.name: [] for contender in (OPERATOR, BARE)}
    answers: list[list[float]] = []
    async with validation_service() as url:
        for _ in range(plan.repeats):
            for contender in (OPERATOR, BARE):
                delays[contender.name].append(await _round(cluster, plan, contender, url))
            answers.append(await _ask(plan, url))
    figures = {name: over_samples(repeats) for name, repeats in delays.items()}
    baseline = (BARE.name, figures[BARE.name])
    report.add(f"create to pod, against {BARE.name}", "ms", figures[OPERATOR.name], baseline)
    report.add("the validation service's answer alone", "ms", over_samples(answers))


@asynccontextmanager
async def validation_service() -> AsyncIterator[str]:
    """The service as a process of its own; gives its address."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        ports = Path(folder) / "ports.json"
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "validation_image", "--listen-host", "127.0.0.1", "--listen-port", "0",
            "--ports-file", str(ports), "--log-level", "error",
            cwd=ROOT, stdout=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        try:
            async with asyncio.timeout(DEADLINE):
                while not ports.exists():
                    if process.returncode is not None:
                        raise RuntimeError(f"the validation service ended with {process.returncode}")
                    await asyncio.sleep(0.05)
            yield f"http://127.0.0.1:{json.loads(ports.read_text())['http']}"
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


async def _round(cluster: Cluster, plan: Plan, contender: Contender, url: str) -> list[float]:
    """Milliseconds from each create to the first watch event about the job's pod."""
    sent: dict[str, float] = {}
    async with (
        cluster.namespace() as namespace,
        running(NODE, cluster.plane, namespace=namespace, workers=1) as node,
        Seen(cluster, namespace).following() as seen,
    ):
        await node.until("ready", DEADLINE)
        async with running(
            contender, cluster.plane, namespace=namespace, workers=plan.workers, validation_url=url
        ) as process:
            await process.until("ready", DEADLINE)
            for number in range(WARM_UP + plan.samples):
                name = f"single-{number:04d}"
                sent[name] = time.monotonic()
                await cluster.client.create(QISKIT_JOBS, qiskit_job(name), namespace)
                await _until_pod(seen, name)
                await asyncio.sleep(PAUSE)
    return [(seen.pods[name] - at) * 1e3 for name, at in sent.items()][WARM_UP:]


async def _until_pod(seen: Seen, name: str) -> None:
    async with asyncio.timeout(DEADLINE):
        while name not in seen.pods:  # noqa: ASYNC110 - its time is noted when it comes
            await asyncio.sleep(0.005)


async def _ask(plan: Plan, url: str) -> list[float]:
    """Milliseconds of one answer each, one after the other."""
    took: list[float] = []
    async with aiohttp.ClientSession() as service:
        for _ in range(WARM_UP + plan.samples):
            began = time.monotonic()
            async with service.post(f"{url}/validate", json={"code": BELL}) as answer:
                answer.raise_for_status()
                await answer.read()
            took.append((time.monotonic() - began) * 1e3)
    return took[WARM_UP:]
