"""The real control plane that tests share: one for the run, or one for each worker of pytest-xdist.

A test that asks for `namespace` has a place of its own in it; tests never see each other's objects unless
they list across namespaces.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
from hypothesis import settings

from localcluster.controlplane import ControlPlane
from localcluster.crds import install_crds
from localcluster.kubectl import Kubectl

if TYPE_CHECKING:
    from kube import Client

_ACCOUNT_SECONDS = 90.0

# looptime asks for the current event loop around every test. Told that there is none, it leaves a test that
# is not async alone; otherwise asyncio makes it one, which nobody closes.
asyncio.set_event_loop(None)

# The same examples in every run: one that no change of the code has caused tells nobody what went wrong. New ones are
# looked for by `make search`.
settings.register_profile("repeat", derandomize=True)
settings.register_profile("search", print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeat"))

# A shell without job control starts what it puts into the background with SIGINT ignored, and children inherit
# that: no test of Ctrl-C could pass there.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def control_plane(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ControlPlane]:
    """etcd, kube-apiserver, kube-controller-manager and kube-scheduler; its logs stay in pytest's folder."""
    async with ControlPlane.start(tmp_path_factory.mktemp("control-plane")) as plane:
        yield plane


@pytest.fixture(scope="session")
def kubeconfig(control_plane: ControlPlane) -> Path:
    """Kubeconfig of an administrator."""
    return control_plane.kubeconfig


@pytest.fixture(scope="session")
def kubectl(control_plane: ControlPlane) -> Kubectl:
    """`await kubectl("get", "pods")`."""
    return Kubectl(control_plane.binaries["kubectl"], control_plane.kubeconfig)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def crds(kubectl: Kubectl) -> None:
    """The project's custom resource definitions are installed and served."""
    if not await install_crds(kubectl):
        pytest.fail("deploy/crds holds no definitions; make them with: make crds")


@pytest.fixture
async def client(kubeconfig: Path) -> AsyncIterator[Client]:
    """The project's own Kubernetes client, with an administrator's rights."""
    from kube import Client, load_configuration

    configuration = await load_configuration(str(kubeconfig))
    async with Client(configuration, user_agent="qiskit-operator-tests") as connected:
        yield connected


@pytest.fixture
async def namespace(control_plane: ControlPlane) -> AsyncIterator[str]:
    """A fresh namespace in which pods can be created; deleted afterwards without waiting for the end."""
    name = f"test-{secrets.token_hex(4)}"
    namespaces = "/api/v1/namespaces"
    async with control_plane.session() as session:
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        async with session.post(namespaces, json=body) as created:
            created.raise_for_status()
        async with asyncio.timeout(_ACCOUNT_SECONDS):
            while True:
                async with session.get(f"{namespaces}/{name}/serviceaccounts/default") as account:
                    if account.status == 200:
                        break
                await asyncio.sleep(0.02)
        yield name
        async with session.delete(f"{namespaces}/{name}") as deleted:
            deleted.raise_for_status()
