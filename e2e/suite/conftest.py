"""What every test of the cluster suite starts from: kubectl, an installed operator, a namespace of its own."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.suite.installing import OPERATOR, install
from e2e.suite.kubectl import Kubectl

LAST = (
    "test_nodes",
    "test_controller_faults",
    "test_failover",
    "test_api_server",
    "test_namespaced_mode",
    "test_upgrade",
    "test_pages",
    "test_uninstall",
)
"""Files whose tests disturb the whole cluster, in this order after all others."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Undisturbed tests first."""
    items.sort(key=lambda item: LAST.index(item.path.stem) + 1 if item.path.stem in LAST else 0)


@pytest.fixture(scope="session")
def cluster() -> Kubectl:
    """kubectl with the rights of the kubeconfig, in no particular namespace."""
    program = os.environ.get("KUBECTL") or shutil.which("kubectl")
    assert program, "kubectl is not on the PATH"
    return Kubectl(str(Path(program).absolute()))


@pytest.fixture(scope="session")
def installed(cluster: Kubectl) -> Kubectl:
    """The operator, installed by the one documented command and ready; kubectl in its namespace."""
    install(cluster, "default")
    return cluster.within(OPERATOR)


@pytest.fixture
def operator(installed: Kubectl, cluster: Kubectl) -> Kubectl:
    """The installed operator; a test that was cut short has left it as it was, or it is mended here."""
    install(cluster, "default")
    return installed


@pytest.fixture
def kubectl(installed: Kubectl, cluster: Kubectl) -> Iterator[Kubectl]:
    """kubectl in a fresh namespace that goes at the end of the test."""
    name = f"e2e-{secrets.token_hex(4)}"
    cluster("create", "namespace", name)
    yield cluster.within(name)
    cluster("delete", "namespace", name, "--wait=false")
