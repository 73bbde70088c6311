"""`python -m localcluster demo`: every example on a real control plane, live, with its counts checked."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.text import Text

from kube import Client, load_configuration
from localcluster.binaries import ensure_binaries
from localcluster.cluster import LocalCluster
from localcluster.demo_jobs import EXAMPLE_NAMES, EXAMPLES, ExampleJob, ExampleJobs
from localcluster.demo_tables import progress_table, result_table
from localcluster.kubectl import Kubectl
from localcluster.progress import Report
from localcluster.versions import CONTROL_PLANE

_LIMIT_SECONDS = 300.0
_FRAMES_PER_SECOND = 8


@dataclass(frozen=True)
class _Stage:
    """A cluster to run the examples on."""

    kubectl: Kubectl
    client: Client
    namespace: str


async def run_demo(console: Console, kubeconfig: Path | None = None, names: Sequence[str] = ()) -> int:
    """Run the named examples, or all, and check their counts; the exit code.

    Without a kubeconfig on a control plane made for it, with one in a fresh namespace of that cluster, whose
    operator has to be there already. Either way nothing of it stays.
    """
    began = time.monotonic()

    def report(line: str) -> None:
        console.print(Text(f"{time.monotonic() - began:6.1f} s  {line}", style="dim"), soft_wrap=True)

    stage = _elsewhere(kubeconfig, report) if kubeconfig else _embedded(report)
    async with stage as place:
        names = names or EXAMPLE_NAMES
        report(f"kubectl apply -f examples/ ({len(names)} jobs)")
        agree = await _show(console, place, names)
    seconds = time.monotonic() - began
    if agree:
        console.print(
            f"[green]{len(names)} of {len(names)} examples completed with the right counts[/], in {seconds:.1f} s."
        )
    else:
        console.print(
            f"[red]Not every example completed with the right counts[/] ({seconds:.1f} s).", soft_wrap=True
        )
    console.print(
        'Next: make up && export KUBECONFIG="$PWD/.local/kubeconfig" && kubectl apply -f examples/bell.yaml',
        soft_wrap=True,
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


async def _show(console: Console, stage: _Stage, names: Sequence[str]) -> bool:
    """Apply the examples and show them until all have ended; whether all are right."""
    interactive = console.is_terminal

    def changed(job: ExampleJob) -> None:
        if not interactive and job.agrees is not None:
            console.print(f"{job.seconds or 0:9.1f} s  {job.name} {job.phase}")

    jobs = ExampleJobs(stage.client, stage.namespace, names, changed)
    following = asyncio.create_task(_follow(jobs))
    try:
        files = [f"--filename={EXAMPLES / name}.yaml" for name in names]
        await stage.kubectl("apply", f"--namespace={stage.namespace}", *files)
        if interactive:
            with Live(
                get_renderable=lambda: progress_table(jobs),
                console=console,
                refresh_per_second=_FRAMES_PER_SECOND,
                transient=True,
            ):
                await following
        else:
            await following
        console.print(result_table(jobs))
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
