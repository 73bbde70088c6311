"""A local node on the shared control plane, and pods for it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from kube import PODS, BadRequest, Client, NotFound
from localcluster.controlplane import ControlPlane
from localcluster.node.settings import NodeSettings
from localcluster.node.start import LocalNode

# A control plane of this folder's own: the nodes that are tried here must take no other test's pods.
from tests.conftest import client, control_plane, crds, kubeconfig, kubectl, namespace

__all__ = ["client", "control_plane", "crds", "kubeconfig", "kubectl", "namespace"]

Pod = dict[str, Any]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def node(control_plane: ControlPlane) -> AsyncIterator[LocalNode]:
    """A node whose image `test/python` is this Python, and that is quick to try again."""
    images = {"test/python:*": (sys.executable,)}
    settings = NodeSettings(name="node-under-test", images=images, first_backoff=0.1)
    async with LocalNode.start(control_plane, settings) as running:
        yield running


@pytest.fixture
def separation(node: LocalNode) -> None:
    """This machine can separate pods from each other."""
    if node.shortcoming:
        pytest.skip(node.shortcoming)


@pytest.fixture
async def brisk_node(control_plane: ControlPlane) -> AsyncIterator[LocalNode]:
    """A node that renews tokens every second or so, for pods that name it."""
    settings = NodeSettings(
        name="brisk-node", images={"test/python:*": (sys.executable,)}, renew_tokens_after=0.002
    )
    async with LocalNode.start(control_plane, settings) as running:
        yield running


class Pods:
    """Makes pods in one namespace and waits for what becomes of them."""

    def __init__(self, client: Client, namespace: str) -> None:
        self.client = client
        self.namespace = namespace

    async def run(self, code: str, name: str = "pod", *, pod: Pod | None = None, **container: Any) -> Pod:
        """Create a pod that runs Python code; `container` and `pod` add to the container and the spec."""
        first = {
            "name": "main",
            "image": "test/python:3",
            "args": ["-c", textwrap.dedent(code)],
            **container,
        }
        spec = {"restartPolicy": "Never", "containers": [first], **(pod or {})}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        return await self.client.create(PODS, body, self.namespace)

    async def get(self, name: str = "pod") -> Pod:
        return await self.client.get(PODS, name, self.namespace)

    async def until(self, condition: Callable[[Pod], bool], name: str = "pod", seconds: float = 90) -> Pod:
        """Wait until the pod is as wanted; shows what it is like if that does not come."""
        last: Pod = {}
        try:
            async with asyncio.timeout(seconds):
                while True:
                    last = await self.get(name)
                    if condition(last):
                        return last
                    await asyncio.sleep(0.02)
        except TimeoutError:
            return pytest.fail(f"not within {seconds} s; status:\n{json.dumps(last.get('status'), indent=1)}")

    async def ended(self, name: str = "pod") -> Pod:
        return await self.until(lambda pod: pod["status"]["phase"] in ("Succeeded", "Failed"), name)

    async def until_gone(self, name: str = "pod", seconds: float = 90) -> None:
        try:
            async with asyncio.timeout(seconds):
                while True:
                    await self.get(name)
                    await asyncio.sleep(0.02)
        except NotFound:
            return
        except TimeoutError:
            pytest.fail(f"pod {name} is still there after {seconds} s")

    async def until_logged(self, text: str, name: str = "pod", seconds: float = 90) -> None:
        async with asyncio.timeout(seconds):
            while True:
                with contextlib.suppress(BadRequest):  # it has not started yet
                    if text in await self.logs(name):
                        return
                await asyncio.sleep(0.02)

    async def logs(self, name: str = "pod") -> str:
        return await self.client.pod_logs(name, self.namespace)


@pytest.fixture
def pods(node: LocalNode, client: Client, namespace: str) -> Pods:
    """Pods in the test's own namespace, with the node to run them."""
    return Pods(client, namespace)


def terminated(pod: Pod) -> dict[str, Any]:
    """How the pod's first container ended."""
    return dict(pod["status"]["containerStatuses"][0]["state"]["terminated"])
