"""A node's end is the end of its pods, whatever way it comes; and its return finds them lost."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import psutil
import pytest

from kube import NODES, Client, NotFound
from localcluster.controlplane import ControlPlane
from localcluster.node.settings import NodeSettings
from localcluster.node.start import LocalNode

pytestmark = pytest.mark.node
ROOT = Path(__file__).parents[2]

SLEEPER = "import os, time; print(os.environ['MARK'], flush=True); time.sleep(600)"


def processes_with(mark: str) -> list[psutil.Process]:
    """Processes that have the mark in their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("MARK") == mark:
                found.append(process)
        except psutil.Error:
            continue
    return found


async def until_none_has(mark: str) -> None:
    async with asyncio.timeout(90):
        while processes_with(mark):  # noqa: ASYNC110 - what is waited for happens in other processes
            await asyncio.sleep(0.05)


def settings(name: str) -> NodeSettings:
    return NodeSettings(name=name, images={"test/python:*": (sys.executable,)})


async def start_sleeper(pods: Any, node: str) -> str:
    """A pod on that node that sleeps; returns the mark of its processes."""
    mark = f"{pods.namespace}-{node}"
    await pods.run(SLEEPER, pod={"nodeName": node}, env=[{"name": "MARK", "value": mark}])
    await pods.until(lambda pod: pod["status"]["phase"] == "Running")
    await pods.until_logged(mark)
    assert processes_with(mark)
    return mark


async def test_stopping_a_node_ends_its_pods_and_removes_it(
    pods: Any, control_plane: ControlPlane, client: Client
) -> None:
    async with LocalNode.start(control_plane, settings("short-lived")):
        mark = await start_sleeper(pods, "short-lived")
    assert not processes_with(mark)
    assert not (control_plane.directory / "node-short-lived").exists()
    with pytest.raises(NotFound):
        await client.get(NODES, "short-lived")


async def test_a_killed_node_takes_its_pods_with_it_and_its_successor_reports_them_lost(
    pods: Any, control_plane: ControlPlane
) -> None:
    async with LocalNode.start(control_plane, settings("unlucky")) as node:
        mark = await start_sleeper(pods, "unlucky")
        node.child.signal(signal.SIGKILL)
        await until_none_has(mark)
    assert (await pods.get())["status"]["phase"] == "Running"
    async with LocalNode.start(control_plane, settings("unlucky")):
        pod = await pods.ended()
    assert pod["status"]["phase"] == "Failed"
    end = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (end["exitCode"], end["reason"]) == (137, "ContainerStatusUnknown")


async def test_a_killed_parent_takes_plane_node_and_pods_with_it(tmp_path: Path) -> None:
    script = textwrap.dedent("""
        import asyncio, json, sys
        from pathlib import Path
        from localcluster.controlplane import ControlPlane
        from localcluster.kubectl import Kubectl
        from localcluster.node.settings import NodeSettings
        from localcluster.node.start import LocalNode

        async def main():
            async with ControlPlane.start() as plane:
                settings = NodeSettings(images={"test/python:*": (sys.executable,)})
                async with LocalNode.start(plane, settings):
                    kubectl = Kubectl(plane.binaries["kubectl"], plane.kubeconfig)
                    await kubectl("create", "-f", "-", stdin=sys.argv[1])
                    await kubectl("wait", "pod/sleeper", "--for=jsonpath={.status.phase}=Running")
                    print(plane.directory, flush=True)
                    await asyncio.Event().wait()

        asyncio.run(main())
    """)
    mark = f"orphan-{os.getpid()}"
    container = {
        "name": "main",
        "image": "test/python",
        "args": ["-c", SLEEPER],
        "env": [{"name": "MARK", "value": mark}],
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "sleeper"},
        "spec": {"containers": [container]},
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, json.dumps(pod), cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    directory = (await process.stdout.readline()).decode().strip()
    assert processes_with(mark)
    os.kill(process.pid, signal.SIGKILL)
    await process.wait()
    await until_none_has(mark)
    async with asyncio.timeout(90):
        while os.path.exists(directory):  # noqa: ASYNC110, ASYNC240 - another process removes it
            await asyncio.sleep(0.05)
