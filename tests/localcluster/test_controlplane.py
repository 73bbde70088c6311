"""A control plane is real, alone, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from localcluster.controlplane import ControlPlane, StartFailed
from localcluster.kubectl import Kubectl, KubectlFailed

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).parents[2]


async def until(condition: Callable[[], bool], what: str, seconds: float = 90.0) -> None:
    try:
        async with asyncio.timeout(seconds):
            while not condition():  # noqa: ASYNC110 - what is waited for happens in other processes
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"not within {seconds} s: {what}")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def other_plane() -> AsyncIterator[ControlPlane]:
    async with ControlPlane.start(api_only=True, audit_log=True) as plane:
        yield plane


async def test_the_shared_control_plane_is_the_released_kubernetes(kubectl: Kubectl) -> None:
    version = json.loads(await kubectl("version", "--output=json"))
    assert version["serverVersion"]["gitVersion"] == "v1.34.4"
    assert version["clientVersion"]["gitVersion"] == "v1.34.4"


async def test_a_namespace_admits_pods_at_once(kubectl: Kubectl, namespace: str) -> None:
    await kubectl("run", "idle", "--image=none", f"--namespace={namespace}")
    pod = json.loads(await kubectl("get", "pod", "idle", f"--namespace={namespace}", "--output=json"))
    assert pod["spec"]["serviceAccountName"] == "default"


async def test_the_projects_kinds_are_served(crds: None, kubectl: Kubectl) -> None:
    served = await kubectl("api-resources", "--api-group=quantum.io", "--output=name")
    assert set(served.split()) >= {"qiskitjobs.quantum.io", "qiskitbackends.quantum.io"}


async def test_garbage_collection_follows_owner_references(kubectl: Kubectl, namespace: str) -> None:
    await kubectl("create", "configmap", "owner", f"--namespace={namespace}")
    owner = json.loads(await kubectl("get", "configmap", "owner", f"--namespace={namespace}", "-ojson"))
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    dependent = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "dependent", "ownerReferences": [reference]},
    }
    await kubectl("create", f"--namespace={namespace}", "--filename=-", stdin=json.dumps(dependent))
    await kubectl("delete", "configmap", "owner", f"--namespace={namespace}")
    await kubectl("wait", "--for=delete", "configmap/dependent", f"--namespace={namespace}", "--timeout=60s")


async def test_two_run_side_by_side_and_do_not_trust_each_other(
    control_plane: ControlPlane, other_plane: ControlPlane
) -> None:
    assert other_plane.server != control_plane.server
    stranger = Kubectl(control_plane.binaries["kubectl"], control_plane.kubeconfig)
    with pytest.raises(KubectlFailed, match="certificate signed by unknown authority"):
        await stranger("get", "--raw=/readyz", f"--server={other_plane.server}")


async def test_without_a_controller_manager_pods_need_no_service_account(other_plane: ControlPlane) -> None:
    kubectl = Kubectl(other_plane.binaries["kubectl"], other_plane.kubeconfig)
    await kubectl("run", "idle", "--image=none")


async def test_stopping_leaves_only_the_logs(tmp_path: Path) -> None:
    async with ControlPlane.start(tmp_path, api_only=True) as plane:
        pids = [plane.pid("etcd"), plane.pid("kube-apiserver")]
        data = plane.layout.data
        assert data.exists()
        assert (tmp_path / "private").stat().st_mode & 0o077 == 0
    assert not any(psutil.pid_exists(pid) for pid in pids)
    assert not data.exists()
    assert os.listdir(tmp_path) == ["logs"]
    assert (tmp_path / "logs" / "kube-apiserver.log").stat().st_size > 0


async def test_without_a_folder_given_not_even_the_logs_stay() -> None:
    async with ControlPlane.start(api_only=True) as plane:
        directory = plane.directory
        assert directory.exists()
    assert not directory.exists()


async def test_a_killed_parent_takes_everything_with_it() -> None:
    script = textwrap.dedent("""
        import asyncio, os
        from localcluster.controlplane import ControlPlane

        async def main():
            async with ControlPlane.start(api_only=True) as plane:
                print(plane.directory, plane.layout.data, plane.pid("etcd"), plane.pid("kube-apiserver"),
                      flush=True)
                await asyncio.Event().wait()

        asyncio.run(main())
    """)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, cwd=ROOT, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    directory, data, *pids = (await process.stdout.readline()).decode().split()
    os.kill(process.pid, signal.SIGKILL)
    await process.wait()
    await until(lambda: not any(psutil.pid_exists(int(pid)) for pid in pids), "the components end")
    await until(lambda: not Path(directory).exists() and not Path(data).exists(), "the folders vanish")


async def test_a_failed_start_shows_the_end_of_the_log_and_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(StartFailed, match=r"kube-apiserver ended with 1(.|\n)*no-such-plugin"):
        async with ControlPlane.start(
            tmp_path, api_only=True, apiserver_flags={"enable-admission-plugins": "no-such-plugin"}
        ):
            pytest.fail("it started")
    assert os.listdir(tmp_path) == ["logs"]


async def test_a_restarted_api_server_keeps_address_and_data() -> None:
    async with ControlPlane.start(api_only=True) as plane:
        kubectl = Kubectl(plane.binaries["kubectl"], plane.kubeconfig)
        await kubectl("create", "configmap", "memory")
        before = plane.pid("kube-apiserver")
        await plane.restart("kube-apiserver")
        assert plane.pid("kube-apiserver") != before
        assert "memory" in await kubectl("get", "configmaps", "--output=name")


async def test_the_audit_log_has_a_line_for_each_request(other_plane: ControlPlane) -> None:
    kubectl = Kubectl(other_plane.binaries["kubectl"], other_plane.kubeconfig)
    await kubectl("create", "configmap", "noted")
    assert other_plane.audit_log is not None
    log = other_plane.audit_log

    def noted() -> bool:
        entries = [json.loads(line) for line in log.read_text().splitlines()]
        return any(
            entry["verb"] == "create" and entry.get("objectRef", {}).get("name") == "noted"
            for entry in entries
        )

    await until(noted, "the request is in the audit log")


async def test_a_kubeconfig_for_anyone_has_that_ones_rights(control_plane: ControlPlane) -> None:
    nobody = Kubectl(control_plane.binaries["kubectl"], control_plane.kubeconfig_for("nobody", ["guests"]))
    with pytest.raises(KubectlFailed, match='User "nobody" cannot list'):
        await nobody("get", "secrets")
