"""`python -m bench.jobs_profile`: where the operator's processor time goes, as cProfile sees it.

Runs jobs.py's round once with the operator under the profiler: single jobs first, then a burst. Prints the
functions that cost most by themselves and with what they call, per job.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import pstats
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench import cluster, jobs
from bench.contenders import Contender
from bench.plan import QUICK, Plan

PROFILED = Contender("operator, profiled", "bench.contender.operator_profiled", "account")
STAGES = ("the start, and jobs one at a time", "a burst")


def main(argv: Sequence[str] | None = None) -> int:
    """Profile, print."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.jobs_profile", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--objects", type=int, default=300, help="jobs of the burst")
    parser.add_argument("--samples", type=int, default=30, help="jobs that come one at a time")
    parser.add_argument("--lines", type=int, default=30, help="functions that are printed of each kind")
    options = parser.parse_args(argv)
    plan = replace(QUICK, objects=options.objects, samples=options.samples)
    with tempfile.TemporaryDirectory(prefix="bench-profile-") as folder:
        path = Path(folder) / "profile"
        os.environ["BENCH_PROFILE"] = str(path)
        figures = asyncio.run(_run(plan))
        for number, (stage, count) in enumerate(zip(STAGES, (plan.samples, plan.objects), strict=True)):
            stats = pstats.Stats(f"{path}.{number}")
            total = getattr(stats, "total_tt", 0.0)
            print(f"\n=== {stage}: {count} jobs, {total / count * 1e3:.2f} ms each, profiler included")
            stats.sort_stats("tottime").print_stats(options.lines)
            stats.sort_stats("cumulative").print_stats(options.lines)
    for name, value in figures.items():
        print(f"{name:28} {value:8.2f}")
    return 0


async def _run(plan: Plan) -> dict[str, float]:
    async with cluster.start() as running:
        figures, _ = await jobs._round(running, plan, PROFILED)
    return figures


if __name__ == "__main__":
    sys.exit(main())
