"""The pages on running the operator: every command of a page, in its order, on the cluster."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e.suite.installing import install
from e2e.suite.kubectl import Kubectl
from e2e.suite.pages import execute


@pytest.mark.parametrize("page", ["high-availability", "security", "troubleshooting", "upgrade"])
def test_page_on_an_installed_operator(
    page: str, cluster: Kubectl, operator: Kubectl, tmp_path: Path
) -> None:
    execute(cluster, page, "sh", tmp_path)
    install(cluster, "default")


def test_pages_on_uninstalling_and_installing(cluster: Kubectl, operator: Kubectl, tmp_path: Path) -> None:
    execute(cluster, "uninstall", "sh", tmp_path)
    assert "quantum.io" not in cluster("get", "crd", "-o", "name")
    execute(cluster, "install", "sh", tmp_path)
