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
    jobs_validated,
    latency,
    list_and_cache,
    machine,
    memory,
    reconcile,
)
from bench.cluster import Cluster
from bench.plan import FULL, SMALL, Plan
from bench.report import RESULTS, Report


class Benchmark(Protocol):
    """A module with a NAME and a way to measure."""

    NAME: str

    @property
    def measure(self) -> Callable[[Cluster, Plan, Report], Awaitable[None]]: ...


BENCHMARKS: tuple[Benchmark, ...] = (
    list_and_cache,
    reconcile,
    cold_start,
    latency,
    jobs,
    jobs_validated,
    memory,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmarks that are named, or all; 1 if a goal is missed."""
    names = [benchmark.NAME for benchmark in BENCHMARKS]
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(names)}; all without")
    parser.add_argument("--full", action="store_true", help="the sizes that goals are judged at")
    parser.add_argument("--objects", type=int)
    parser.add_argument("--repeats", type=int)
    parser.add_argument("--samples", type=int)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for the JSON files")
    options = parser.parse_args(argv)
    if unknown := set(options.names) - set(names):
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    sizes = {
        name: value
        for name in ("objects", "repeats", "samples", "workers")
        if (value := getattr(options, name)) is not None
    }
    plan = replace(FULL if options.full else SMALL, **sizes)
    chosen = [benchmark for benchmark in BENCHMARKS if not options.names or benchmark.NAME in options.names]
    return asyncio.run(_run(chosen, plan, options.results))


async def _run(chosen: Sequence[Benchmark], plan: Plan, folder: Path) -> int:
    console = Console(width=180 if not sys.stdout.isatty() else None)
    about, promised, broken = machine.describe(), goals.load(), []
    async with cluster.start() as running:
        for benchmark in chosen:
            report = Report(benchmark.NAME, plan.objects, promised, about, repeats=plan.repeats)
            await benchmark.measure(running, plan, report)
            report.show(console)
            console.print(f"written to {report.write(folder)}")
            broken += [f"{benchmark.NAME}: {metric}" for metric in report.broken]
    for line in broken:
        console.print(f"goal missed: {line}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
