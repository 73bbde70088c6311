"""The API server of a run, and the objects on it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import psutil

from bench.sample import SAMPLE_DEFINITION, SAMPLES
from kube import (
    CRDS,
    NAMESPACES,
    QISKIT_BACKENDS,
    QISKIT_JOBS,
    SERVICE_ACCOUNTS,
    ApiError,
    Client,
    Resource,
    load_configuration,
)
from localcluster.controlplane import ControlPlane
from localcluster.crds import install_crds
from localcluster.kubectl import Kubectl

CREATORS = 16
"""Requests under way at once while objects are made."""

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE", "APPLY"})
COUNTED = frozenset({"configmaps", "samples", "pods", "qiskitjobs", "events"})


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running API server with an administrator's client."""

    plane: ControlPlane
    client: Client

    @asynccontextmanager
    async def namespace(self) -> AsyncIterator[str]:
        """A namespace of its own; nothing collects it before the API server ends, and nothing needs to."""
        name = f"bench-{secrets.token_hex(4)}"
        await self.client.create(NAMESPACES, {"metadata": {"name": name}})
        # Pods need the account that the controller-manager would have made.
        await self.client.create(SERVICE_ACCOUNTS, {"metadata": {"name": "default"}}, name)
        yield name

    async def create_samples(self, namespace: str, names: Iterable[str], *, done: bool = False) -> None:
        """Make samples; with `done` as if they had been reconciled long ago."""

        async def one(name: str) -> None:
            await self.client.create(SAMPLES, sample(name), namespace)
            if done:
                patch = {"status": {"phase": "Done"}}
                await self.client.merge_patch(SAMPLES, name, patch, namespace, subresource="status")

        await many(one, names)

    async def writes(self) -> dict[str, int]:
        """Requests that have changed something so far, by resource; leases and the like are left out."""
        text = (await self.client.raw("GET", "/metrics", accept="text/plain")).decode()
        found: dict[str, int] = {}
        for line in text.splitlines():
            if not line.startswith("apiserver_request_total{"):
                continue
            labels, _, value = line.removeprefix("apiserver_request_total{").rpartition("} ")
            fields = dict(pair.split("=", 1) for pair in labels.replace('"', "").split(",") if "=" in pair)
            resource = fields.get("resource", "")
            if fields.get("verb") in WRITES and resource in COUNTED:
                found[resource] = found.get(resource, 0) + int(float(value))
        return found

    def apiserver_cpu(self) -> float:
        """Processor seconds that the API server has used."""
        times = psutil.Process(self.plane.pid("kube-apiserver")).cpu_times()
        return float(times.user + times.system)


@asynccontextmanager
async def start() -> AsyncIterator[Cluster]:
    """Start etcd and kube-apiserver; nothing else writes, so every write that is counted is a contender's."""
    # Executors' pods have a token of their account, so accounts count here as on any cluster.
    flags = {"disable-admission-plugins": "DefaultTolerationSeconds"}
    async with ControlPlane.start(api_only=True, apiserver_flags=flags) as plane:
        configuration = await load_configuration(str(plane.kubeconfig))
        async with Client(configuration, user_agent="bench", request_timeout=60.0) as client:
            await client.create(CRDS, SAMPLE_DEFINITION)
            await install_crds(Kubectl(plane.binaries["kubectl"], plane.kubeconfig))
            for resource in (SAMPLES, QISKIT_JOBS, QISKIT_BACKENDS):
                await _served(client, resource)
            yield Cluster(plane, client)


async def many(work: Callable[[str], Awaitable[Any]], names: Iterable[str]) -> None:
    """Do the work for each name, `CREATORS` at a time."""
    queue = iter(names)

    async def worker() -> None:
        for name in queue:
            await work(name)

    async with asyncio.TaskGroup() as group:
        for _ in range(CREATORS):
            group.create_task(worker())


def sample(name: str) -> dict[str, Any]:
    """One object to be reconciled."""
    return {
        "apiVersion": SAMPLES.api_version,
        "kind": SAMPLES.kind,
        "metadata": {"name": name},
        "spec": {"shots": 1024, "code": "qc = QuantumCircuit(2); qc.h(0); qc.cx(0, 1); qc.measure_all()"},
    }


async def _served(client: Client, resource: Resource) -> None:
    """Wait until a new resource can be watched, which is a little later than it can be listed."""
    async with asyncio.timeout(30):
        while True:
            try:
                async with client.watch(resource, "default", timeout_seconds=1):
                    return
            except ApiError:
                await asyncio.sleep(0.05)
