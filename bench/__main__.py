"""`python -m bench [NAME ...]`: measure, print, write bench/results/NAME.json."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from rich.console import Console

from bench import (
    cluster,
    cold_start,
    goals,
    jobs,
    jobs_local,
    jobs_validated,
    latency,
    list_and_cache,
    machine,
    memory,
    reconcile,
    requests,
)
from bench.cluster import Cluster
from bench.plan import FULL, QUICK, Plan
from bench.report import RESULTS, Report


class Benchmark(Protocol):
    """A module with a NAME and a way to measure."""

    NAME: str

    @property
    def measure(self) -> Callable[[Cluster, Plan, Report], Awaitable[None]]: ...


BENCHMARKS: tuple[Benchmark, ...] = (
    requests,
    list_and_cache,
    reconcile,
    cold_start,
    latency,
    jobs,
    jobs_validated,
    memory,
)

NAMES = (*(benchmark.NAME for benchmark in BENCHMARKS), jobs_local.NAME)

MOST_LOCAL = 20
"""Jobs of each kind that run on the local cluster, whatever the plan: a second each, and more when they are cold."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmarks that are named, or all; 1 if a goal is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(NAMES)}; all without")
    parser.add_argument("--quick", action="store_true", help="small sizes, at which few goals are judged")
    parser.add_argument("--objects", type=int)
    parser.add_argument("--repeats", type=int)
    parser.add_argument("--samples", type=int)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for the JSON files")
    options = parser.parse_args(argv)
    if unknown := set(options.names) - set(NAMES):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    sizes = {
        name: value
        for name in ("objects", "repeats", "samples", "workers")
        if (value := getattr(options, name)) is not None
    }
    plan = replace(QUICK if options.quick else FULL, **sizes)
    return asyncio.run(_run(options.names or NAMES, plan, options.results))


async def _run(names: Sequence[str], plan: Plan, folder: Path) -> int:
    console = Console(width=180 if not sys.stdout.isatty() else None)
    about, promised = machine.describe(), goals.load()
    broken: list[str] = []

    def finish(report: Report) -> None:
        report.show(console)
        console.print(f"written to {report.write(folder)}")
        broken.extend(f"{report.name}: {metric}" for metric in report.broken)

    for benchmark in BENCHMARKS:
        if benchmark.NAME in names:
            report = Report(benchmark.NAME, plan.objects, promised, about, repeats=plan.repeats)
            # A server of its own: what others have left in its memory costs it time, and their figures with it.
            async with cluster.start() as running:
                await benchmark.measure(running, plan, report)
            finish(report)
    if jobs_local.NAME in names:
        samples = min(plan.samples, MOST_LOCAL)
        report = Report(jobs_local.NAME, samples, promised, about)
        await jobs_local.run(samples, report)
        finish(report)
    for line in broken:
        console.print(f"goal missed: {line}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
