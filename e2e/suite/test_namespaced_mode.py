"""The operator for named namespaces: it holds no right in any other, and leaves jobs there alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.suite.installing import CONTROLLER, OPERATOR, ROOT, install
from e2e.suite.jobs import a_job, status_of, until_phase
from e2e.suite.kubectl import Kubectl
from e2e.suite.pages import execute

NAMESPACE = "quantum-example"
"""What overlays/namespaced is written for."""

AS_CONTROLLER = f"--as=system:serviceaccount:{OPERATOR}:{CONTROLLER}"


@pytest.fixture
def named(installed: Kubectl, cluster: Kubectl, tmp_path: Path) -> Iterator[Kubectl]:
    """kubectl in the one namespace of an operator in namespaced mode."""
    cluster("delete", "-k", str(ROOT / "deploy/operator/default"), "--wait", timeout=120)
    execute(cluster, "install", "shell", tmp_path)
    yield cluster.within(NAMESPACE)
    execute(cluster, "uninstall", "shell", tmp_path)
    cluster("delete", "namespace", NAMESPACE, "--wait=false")
    install(cluster, "default")


def test_named_namespaces_are_served_and_no_others(
    named: Kubectl, kubectl: Kubectl, cluster: Kubectl
) -> None:
    kubectl.apply(a_job("outside"))
    named.apply(a_job("inside"))
    until_phase(named, "inside", "Completed")
    assert status_of(kubectl, "outside") == {"phase": "Pending"}, "as the API server made it"

    assert _may(named, "create", "pods")
    for verb, kind in (("list", "qiskitjobs.quantum.io"), ("create", "pods"), ("get", "configmaps")):
        assert not _may(kubectl, verb, kind)
    bindings = cluster.json("get", "clusterrolebindings")["items"]
    held = [
        binding["roleRef"]["name"]
        for binding in bindings
        if any(subject["name"] == CONTROLLER for subject in binding.get("subjects", []))
    ]
    assert held == ["qiskit-operator-tokenreviews"]


def _may(kubectl: Kubectl, verb: str, kind: str) -> bool:
    return kubectl.run("auth", "can-i", verb, kind, AS_CONTROLLER).stdout.strip() == "yes"
