"""`python -m localcluster demo`: every example on a real control plane, live, with its counts checked."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from kube import Client, load_configuration
from localcluster.binaries import ensure_binaries
from localcluster.cluster import LocalCluster
from localcluster.demo_jobs import EXAMPLES, ExampleJob, ExampleJobs
from localcluster.histogram import bars
from localcluster.kubectl import Kubectl
from localcluster.progress import Report
from localcluster.versions import CONTROL_PLANE

_LIMIT_SECONDS = 300.0
_FRAMES_PER_SECOND = 8
_COLOURS = {"Completed": "green", "Failed": "red", "Cancelled": "red", "Running": "cyan"}


@dataclass(frozen=True)
class _Stage:
    """A cluster to run the examples on."""

    kubectl: Kubectl
    client: Client
    namespace: str


async def run_demo(console: Console, kubeconfig: Path | None = None) -> int:
    """Run every example and check its counts; the exit code.

    Without a kubeconfig on a control plane made for it, with one in a fresh namespace of that cluster, whose
    operator has to be there already. Either way nothing of it stays.
    """
    began = time.monotonic()

    def report(line: str) -> None:
        console.print(Text(f"{time.monotonic() - began:6.1f} s  {line}", style="dim"))

    stage = _elsewhere(kubeconfig, report) if kubeconfig else _embedded(report)
    async with stage as place:
        names = [path.stem for path in sorted(EXAMPLES.glob("*.yaml"))]
        report(f"kubectl apply -f examples/ ({len(names)} jobs)")
        agree = await _show(console, place, names)
    seconds = time.monotonic() - began
    if agree:
        console.print(
            f"[green]All {len(names)} examples completed with the right counts[/], in {seconds:.1f} s."
        )
    else:
        console.print(f"[red]Not every example completed with the right counts[/] ({seconds:.1f} s).")
    console.print(
        "Next: make up && export KUBECONFIG=$PWD/.local/kubeconfig && kubectl apply -f examples/bell.yaml"
    )
    return 0 if agree else 1


@asynccontextmanager
async def _embedded(report: Report) -> AsyncIterator[_Stage]:
    async with LocalCluster.start(report=report) as cluster:
        configuration = await load_configuration(str(cluster.plane.kubeconfig))
        async with Client(configuration, user_agent="qiskit-demo") as client:
            yield _Stage(cluster.kubectl, client, "default")


@asynccontextmanager
async def _elsewhere(kubeconfig: Path, report: Report) -> AsyncIterator[_Stage]:
    binaries = await asyncio.to_thread(_kubectl, report)
    kubectl = Kubectl(binaries, kubeconfig)
    namespace = f"qiskit-demo-{secrets.token_hex(3)}"
    await kubectl("create", "namespace", namespace)
    try:
        configuration = await load_configuration(str(kubeconfig))
        async with Client(configuration, user_agent="qiskit-demo") as client:
            yield _Stage(kubectl, client, namespace)
    finally:
        await kubectl("delete", "namespace", namespace, "--wait=false")


def _kubectl(report: Report) -> Path:
    wanted = [binary for binary in CONTROL_PLANE if binary.name == "kubectl"]
    return ensure_binaries(wanted, report)["kubectl"]


async def _show(console: Console, stage: _Stage, names: list[str]) -> bool:
    """Apply the examples and show them until all have ended; whether all are right."""
    interactive = console.is_terminal

    def changed(job: ExampleJob) -> None:
        if not interactive and job.agrees is not None:
            console.print(f"{job.name:20} {job.phase:10} {job.seconds or 0:5.1f} s  {job.verdict}")

    jobs = ExampleJobs(stage.client, stage.namespace, names, changed)
    following = asyncio.create_task(_follow(jobs))
    try:
        await stage.kubectl("apply", f"--namespace={stage.namespace}", f"--filename={EXAMPLES}")
        if interactive:
            with Live(
                get_renderable=lambda: _table(jobs), console=console, refresh_per_second=_FRAMES_PER_SECOND
            ):
                await following
        else:
            await following
            console.print(_table(jobs))
    finally:
        following.cancel()
        await asyncio.wait({following})
    return jobs.all_agree


async def _follow(jobs: ExampleJobs) -> None:
    try:
        async with asyncio.timeout(_LIMIT_SECONDS):
            await jobs.follow()
    except TimeoutError:
        for job in jobs.jobs.values():
            if job.agrees is None:
                job.agrees, job.verdict = False, f"not ended after {_LIMIT_SECONDS:.0f} s"


def _table(jobs: ExampleJobs) -> Table:
    table = Table(expand=False, show_lines=True)
    for heading in ("example", "phase", "time", "counts", "check"):
        table.add_column(
            heading, justify="right" if heading == "time" else "left", no_wrap=heading != "check"
        )
    for job in jobs.jobs.values():
        table.add_row(
            job.name,
            Text(job.phase, style=_COLOURS.get(job.phase, "")),
            "" if job.seconds is None else f"{job.seconds:.1f} s",
            _counts(job),
            Text(job.verdict, style={True: "green", False: "red", None: ""}[job.agrees]),
        )
    return table


def _counts(job: ExampleJob) -> str:
    if job.counts is None:
        return ""
    of = f"first of {job.circuits} circuits:\n" if job.circuits > 1 else ""
    return of + bars(job.counts)
