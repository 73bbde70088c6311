"""The node as an object of the API, and its signs of life."""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
from datetime import UTC, datetime
from typing import Any

from kube import LEASES, NODES, AlreadyExists, ApiError, Client, NotFound
from localcluster.node.downward import NodeFacts
from localcluster.node.states import now
from localcluster.versions import KUBERNETES

LEASE_NAMESPACE = "kube-node-lease"
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_POLL_SECONDS = 0.05


def machine_facts(name: str, address: str) -> NodeFacts:
    """This machine's CPUs and memory, as a node of that name."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return NodeFacts(name, address, os.cpu_count() or 1, memory)


def node_object(facts: NodeFacts, pods: int) -> dict[str, Any]:
    """The Node as it is created."""
    architecture = _ARCHITECTURES.get(platform.machine(), platform.machine())
    labels = {
        "kubernetes.io/hostname": facts.name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": architecture,
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": facts.name, "labels": labels},
        "status": {
            "capacity": _capacity(facts, pods),
            "allocatable": _capacity(facts, pods),
            "conditions": _conditions(),
        },
    }


def node_status(facts: NodeFacts, pods: int, logs_port: int) -> dict[str, Any]:
    """The Node's status. `logs_port` is where the API server asks for logs."""
    return {
        "capacity": _capacity(facts, pods),
        "allocatable": _capacity(facts, pods),
        "addresses": [
            {"type": "InternalIP", "address": facts.address},
            {"type": "Hostname", "address": facts.name},
        ],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": logs_port}},
        "conditions": _conditions(),
        "nodeInfo": {
            "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
            "bootID": "",
            "containerRuntimeVersion": "local-processes://1",
            "kernelVersion": platform.release(),
            "kubeProxyVersion": "",
            "kubeletVersion": f"v{KUBERNETES}",
            "machineID": "",
            "operatingSystem": "linux",
            "osImage": "this machine",
            "systemUUID": "",
        },
    }


async def register(client: Client, facts: NodeFacts, pods: int, logs_port: int) -> None:
    """Create the Node, or take over the one of that name, and report its status."""
    with contextlib.suppress(AlreadyExists):
        await client.create(NODES, node_object(facts, pods))
    await client.merge_patch(
        NODES, facts.name, {"status": node_status(facts, pods, logs_port)}, subresource="status"
    )


async def wait_schedulable(client: Client, name: str) -> None:
    """Wait until the controllers have taken the taint off that every new node begins with."""
    while True:
        node = await client.get(NODES, name)
        if not any(taint["effect"] == "NoSchedule" for taint in node["spec"].get("taints", ())):
            return
        await asyncio.sleep(_POLL_SECONDS)


async def keep_alive(client: Client, name: str, lease_seconds: int) -> None:
    """Renew the node's lease every quarter of its duration, until cancelled."""
    while True:
        try:
            await _renew(client, name, lease_seconds)
        except ApiError:
            # The lease outlives three failed renewals; an API server that is away is asked again.
            await asyncio.sleep(min(1.0, lease_seconds / 4))
        else:
            await asyncio.sleep(lease_seconds / 4)


async def _renew(client: Client, name: str, lease_seconds: int) -> None:
    time = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    spec = {"holderIdentity": name, "leaseDurationSeconds": lease_seconds, "renewTime": time}
    try:
        await client.merge_patch(LEASES, name, {"spec": spec}, LEASE_NAMESPACE)
    except NotFound:
        lease = {
            "apiVersion": LEASES.api_version,
            "kind": LEASES.kind,
            "metadata": {"name": name, "namespace": LEASE_NAMESPACE},
            "spec": spec,
        }
        await client.create(LEASES, lease, LEASE_NAMESPACE)


def _capacity(facts: NodeFacts, pods: int) -> dict[str, str]:
    return {"cpu": str(facts.cpus), "memory": str(facts.memory), "pods": str(pods)}


def _conditions() -> list[dict[str, str]]:
    time = now()
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "NodeReady",
        "message": "The node runs pods as processes of this machine.",
        "lastHeartbeatTime": time,
        "lastTransitionTime": time,
    }
    pressures = [
        {
            "type": kind,
            "status": "False",
            "reason": "NotMeasured",
            "message": "",
            "lastHeartbeatTime": time,
            "lastTransitionTime": time,
        }
        for kind in ("MemoryPressure", "DiskPressure", "PIDPressure")
    ]
    return [*pressures, ready]
