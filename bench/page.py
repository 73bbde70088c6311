"""`python -m bench.page`: writes docs/performance.md from bench/results, so that the page cannot say anything else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from bench.report import RESULTS

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"

_INTRODUCTION = """\
# Measured

What the operator takes, beside named rivals that do the same in the same run. Absolute figures are those of one
machine; the ratios (ours / rival's) are what carries over. Goals, with where each comes from, are in
[bench/goals.json](../bench/goals.json); the figures with their spread in [bench/results](../bench/results).

```shell
make bench          # on a real kube-apiserver of its own; about forty minutes
make bench-cluster  # on real nodes, beside bare Jobs and pods
```

Some goals are times that were set on one machine, beside what a rival took on it. Where this page says "as a
multiple", the time itself was longer, and so was the rival's in the same run: as a multiple of that, the goal is kept.

This page is written from those results by `python -m bench.page`. A figure without p50 and p99 is the median of the
run's repeats.
"""

_TITLES = {
    "requests": "One request, with everything that the client does for it",
    "list_and_cache": "A collection of pods, read and kept",
    "reconcile": "The engine alone: one object in, a ConfigMap and a status out",
    "cold_start": "Starting beside finished objects",
    "latency": "One object on an idle cluster, the engine alone",
    "jobs": "Jobs through the whole operator, with an instant node and validator",
    "jobs_validated": "A job on an idle cluster, with real validation",
    "jobs_local": "Circuits on the local cluster, from submit to result",
    "real_node": "Bell jobs on a real node, from submit to result",
    "memory": "The controller's memory",
}


def render(folder: Path = RESULTS) -> str:
    """The page."""
    parts = [_INTRODUCTION]
    for name, title in _TITLES.items():
        path = folder / f"{name}.json"
        if path.exists():
            parts.append(_section(title, msgspec.json.decode(path.read_bytes())))
    return "\n".join(parts)


def _section(title: str, result: dict[str, Any]) -> str:
    machine = result["machine"]
    about = (
        f"{result['date'][:10]}, {result['objects']} objects, {machine['cpus']} processors ({machine['cpu']}), "
        f"Linux {machine['kernel']}, Python {machine['python']}"
    )
    lines = [
        f"## {title}",
        "",
        about,
        "",
        "| | measured | rival | ratio | goal | met |",
        "|---|---|---|---|---|---|",
    ]
    lines += [_row(row) for row in result["rows"]]
    return "\n".join([*lines, ""])


def _row(row: dict[str, Any]) -> str:
    unit = row["unit"]
    percentiles = f" (p50 {row['p50']:g}, p99 {row['p99']:g})" if "p99" in row else ""
    rival = f"{row['baseline']}: {row['baseline_value']:g} {unit}" if "baseline" in row else ""
    ratio = f"{row['ratio']:.3g}" if "ratio" in row else ""
    kept = "yes, as a multiple" if row.get("as_multiple") else "yes"
    met = {True: kept, False: "**no**", None: ""}[row.get("met")]
    metric = row["metric"].partition(", against")[0]
    return f"| {metric} | {row['value']:g} {unit}{percentiles} | {rival} | {ratio} | {row.get('goal', '')} | {met} |"


if __name__ == "__main__":
    PAGE.write_text(render())
