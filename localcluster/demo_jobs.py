"""The examples while they run: what is known of each job, from the API's watch and its result."""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from kube import CONFIG_MAPS, QISKIT_JOBS, ApiError, Client

EXAMPLES = Path(__file__).parent.parent / "examples"
EXAMPLE_NAMES = tuple(path.stem for path in sorted(EXAMPLES.glob("*.yaml")))
_FINAL = frozenset({"Completed", "Failed", "Cancelled"})
_WATCH_SECONDS = 300
_RESULTS = "results.json"


@dataclass
class ExampleJob:
    """One example. `seconds` is from its creation to its end, as seen from here."""

    name: str
    phase: str = "-"
    seconds: float | None = None
    counts: Mapping[str, int] | None = None
    circuits: int = 1
    verdict: str = ""
    agrees: bool | None = None
    """Whether the counts are what they must be; None as long as that is not known."""


class ExampleJobs:
    """All examples of a run, by name. `changed` is called whenever one of them moved on."""

    def __init__(
        self, client: Client, namespace: str, names: Sequence[str], changed: Callable[[ExampleJob], None]
    ):
        self.jobs = {name: ExampleJob(name) for name in names}
        self._client = client
        self._namespace = namespace
        self._changed = changed
        self._began = time.monotonic()

    @property
    def all_agree(self) -> bool:
        """Whether every example completed with the counts that it must have."""
        return all(job.agrees for job in self.jobs.values())

    async def follow(self) -> None:
        """Watch until every example has ended and its counts are checked."""
        self._began = time.monotonic()
        while any(job.agrees is None for job in self.jobs.values()):
            try:
                async with self._client.watch(
                    QISKIT_JOBS, self._namespace, timeout_seconds=_WATCH_SECONDS, send_initial_events=True
                ) as lines:
                    async for line in lines:
                        await self._observe(msgspec.json.decode(line))
                        if all(job.agrees is not None for job in self.jobs.values()):
                            return
            except ApiError:
                await asyncio.sleep(0.5)

    async def _observe(self, event: Mapping[str, Any]) -> None:
        job = self.jobs.get(event["object"].get("metadata", {}).get("name", ""))
        if event["type"] not in ("ADDED", "MODIFIED") or job is None or job.agrees is not None:
            return
        status = event["object"].get("status") or {}
        phase = status.get("phase", "Pending")
        if phase == job.phase:
            return
        job.phase = phase
        if phase in _FINAL:
            job.seconds = time.monotonic() - self._began
            if phase == "Completed":
                await self._check(job, status)
            else:
                job.agrees = False
                job.verdict = f"{status.get('reason')}: {status.get('message', '')}"
        self._changed(job)

    async def _check(self, job: ExampleJob, status: Mapping[str, Any]) -> None:
        location = str(status["results"]["location"]).rpartition("/")[2]
        stored = await self._client.get(CONFIG_MAPS, location, self._namespace)
        document = msgspec.json.decode(stored["data"][_RESULTS])
        results = document["results"]
        every = results.get("circuits") or [results]
        job.counts, job.circuits = every[0]["counts"], len(every)
        # The examples are data to this package, and what they must show is theirs to say.
        checks = importlib.import_module("examples.checks")
        try:
            job.verdict = checks.check(job.name, document)
            job.agrees = True
        except checks.Disagreement as error:
            job.verdict = f"wrong: {error}"
            job.agrees = False
