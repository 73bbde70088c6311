"""The whole product on this machine: control plane, node, operator, validation service; once for the run."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from kube import (
    CONFIG_MAPS,
    EVENTS,
    NAMESPACES,
    PODS,
    QISKIT_JOBS,
    SERVICE_ACCOUNTS,
    Client,
    NotFound,
    load_configuration,
)
from localcluster.cluster import LocalCluster

Job = dict[str, Any]

DEADLINE = 120.0
"""Seconds for anything to happen: a busy machine is no failure of the product."""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def product(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[LocalCluster]:
    """A running operator."""
    async with LocalCluster.start(tmp_path_factory.mktemp("product")) as running:
        yield running


@dataclass
class Lab:
    """A namespace of a test's own, and what a user does in it."""

    cluster: LocalCluster
    client: Client
    namespace: str

    async def submit(self, code: str | None = None, *, name: str = "job", **spec: Any) -> Job:
        """Create a job; `code` is inline, everything else a part of the spec."""
        body: Job = {"backend": {"type": "local_simulator"}, **spec}
        if code is not None:
            body["circuit"] = {"source": "inline", "code": code} | body.get("circuit", {})
        manifest = {
            "apiVersion": "quantum.io/v1",
            "kind": "QiskitJob",
            "metadata": {"name": name},
            "spec": body,
        }
        return await self.client.create(QISKIT_JOBS, manifest, self.namespace)

    async def job(self, name: str = "job") -> Job:
        return await self.client.get(QISKIT_JOBS, name, self.namespace)

    async def until(self, condition: Callable[[Job], Any], name: str = "job") -> Job:
        """The job once it is so."""
        found: Job = {}
        try:
            async with asyncio.timeout(DEADLINE):
                while True:
                    found = await self.job(name)
                    if condition(found):
                        return found
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(
                f"not so in {DEADLINE} s: {json.dumps(found.get('status'), indent=1)}"
            ) from None

    async def ended(self, name: str = "job") -> Job:
        """The job once it has ended, however."""
        return await self.until(lambda job: phase(job) in ("Completed", "Failed", "Cancelled"), name)

    async def reaches(self, wanted: str, name: str = "job") -> Job:
        """The job once it is in this phase; ending in another one is a failure."""
        ends = {"Completed", "Failed", "Cancelled"}
        job = await self.until(lambda job: phase(job) == wanted or phase(job) in ends, name)
        assert phase(job) == wanted, job["status"]
        return job

    async def patch(self, name: str = "job", **spec: Any) -> None:
        await self.client.merge_patch(QISKIT_JOBS, name, {"spec": spec}, self.namespace)

    async def pods(self) -> list[dict[str, Any]]:
        return await self.client.list_items(PODS, self.namespace, type=dict[str, Any])

    async def nothing_runs(self) -> None:
        """Wait until no executor of the namespace runs any more; one that is told to end gets its time for that."""
        async with asyncio.timeout(DEADLINE):
            while any(pod["status"]["phase"] in ("Pending", "Running") for pod in await self.pods()):  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    async def config_map(self, name: str) -> dict[str, Any]:
        return await self.client.get(CONFIG_MAPS, name, self.namespace)

    async def result(self, name: str = "job") -> Any:
        """The result document of a job that is Completed."""
        job = await self.job(name)
        stored = await self.config_map(job["status"]["results"]["location"])
        return json.loads(stored["data"]["results.json"])

    async def events(self, name: str = "job") -> list[tuple[str, str, str]]:
        """(type, reason, message) of what was said about the job."""
        found = await self.client.list_items(EVENTS, self.namespace, type=dict[str, Any])
        about = [event for event in found if event["involvedObject"]["name"] == name]
        return [(event["type"], event["reason"], event["message"]) for event in about]

    async def until_told(self, kind: str, reason: str, says: str, name: str = "job") -> None:
        """Wait for an event about the job; events are written beside the work, not within it."""
        told: list[tuple[str, str, str]] = []
        try:
            async with asyncio.timeout(DEADLINE):
                while not any((k, r) == (kind, reason) and says in m for k, r, m in told):
                    await asyncio.sleep(0.05)
                    told = await self.events(name)
        except TimeoutError:
            raise AssertionError(f"no {kind} event {reason} that says {says!r}: {told}") from None


def phase(job: Job) -> str:
    """`status.phase`."""
    return str(job.get("status", {}).get("phase", ""))


@pytest.fixture
async def lab(product: LocalCluster) -> AsyncIterator[Lab]:
    """A fresh namespace in which jobs can be run."""
    configuration = await load_configuration(str(product.plane.kubeconfig))
    async with Client(configuration, user_agent="product-test") as client:
        name = f"lab-{secrets.token_hex(4)}"
        await client.create(NAMESPACES, {"metadata": {"name": name}})
        async with asyncio.timeout(DEADLINE):
            while True:
                try:
                    await client.get(SERVICE_ACCOUNTS, "default", name)
                    break
                except NotFound:
                    await asyncio.sleep(0.05)
        yield Lab(product, client, name)
        await client.delete(NAMESPACES, name)
