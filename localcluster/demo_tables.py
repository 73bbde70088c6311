"""The examples as tables: one line each while they run, their counts and checks at the end."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from localcluster.demo_jobs import ExampleJob, ExampleJobs
from localcluster.histogram import bars

_COLOURS = {"Completed": "green", "Failed": "red", "Cancelled": "red", "Running": "cyan"}
_MARKS = {True: ("✓", "green"), False: ("✗", "red"), None: ("", "")}
_CAPTION = "G: how far the counts are from the exact distribution (G-test); below its limit it is chance."


def progress_table(jobs: ExampleJobs) -> Table:
    """How far each example is."""
    table = Table(box=None, header_style="dim")
    for heading in ("example", "phase", "time", "counts"):
        table.add_column(heading, no_wrap=True, justify="right" if heading == "time" else "left")
    for job in jobs.jobs.values():
        mark, colour = _MARKS[job.agrees]
        table.add_row(job.name, _phase(job), _time(job), Text(mark, style=colour))
    return table


def result_table(jobs: ExampleJobs) -> Table:
    """What each example gave, and how that agrees with what it must give. Fits 80 columns."""
    table = Table(show_lines=True, caption=_CAPTION, caption_justify="left")
    table.add_column("example", no_wrap=True)
    table.add_column("counts")
    for job in jobs.jobs.values():
        left = Text.assemble(job.name, "\n", _phase(job), " ", (_time(job), "dim"))
        mark, colour = _MARKS[job.agrees]
        right = Text(_counts(job))
        right.append(f"{mark} {job.verdict}", style=colour)
        table.add_row(left, right)
    return table


def _phase(job: ExampleJob) -> Text:
    return Text(job.phase, style=_COLOURS.get(job.phase, ""))


def _time(job: ExampleJob) -> str:
    return "" if job.seconds is None else f"{job.seconds:.1f} s"


def _counts(job: ExampleJob) -> str:
    if job.counts is None:
        return ""
    of = f"first of {job.circuits} circuits:\n" if job.circuits > 1 else ""
    return f"{of}{bars(job.counts)}\n"
