"""The operator and its kinds go in either order, and neither hangs nor takes what is not its own."""

from __future__ import annotations

import pytest

from e2e.suite.installing import OPERATOR, ROOT, install
from e2e.suite.jobs import a_busy_job, a_job, result_of, until_phase
from e2e.suite.kubectl import Kubectl
from e2e.suite.waiting import eventually

PROCESSES = str(ROOT / "deploy/operator/default")
KINDS = str(ROOT / "deploy/crds")


@pytest.mark.parametrize(
    "order", [(PROCESSES, KINDS), (KINDS, PROCESSES)], ids=["operator first", "kinds first"]
)
def test_everything_goes_in_either_order(
    kubectl: Kubectl, cluster: Kubectl, operator: Kubectl, order: tuple[str, str]
) -> None:
    kubectl.apply(
        a_job("done", output={"type": "configmap", "location": "kept", "retention": "retain"}),
        a_job("owned"),
        a_busy_job("running"),
    )
    for job in ("done", "owned"):
        until_phase(kubectl, job, "Completed")
    until_phase(kubectl, "running", "Running")

    first, second = order
    cluster("delete", "-k", first, "--timeout=90s")
    if first == PROCESSES:
        assert cluster.run("get", "namespace", OPERATOR).returncode != 0
        assert len(kubectl.json("get", "qjob")["items"]) == 3, "jobs stay"
        assert result_of(kubectl, "owned")["results"]["success"]
    cluster("delete", "-k", second, "--timeout=90s")

    eventually(lambda: kubectl.json("get", "pods")["items"] == [], within=60)
    eventually(lambda: _results(kubectl) == ["kept"], within=60)
    assert cluster.run("get", "namespace", OPERATOR).returncode != 0
    install(cluster, "default")


def _results(kubectl: Kubectl) -> list[str]:
    found = kubectl.json("get", "configmap", "-l", "quantum.io/role=result")["items"]
    return [item["metadata"]["name"] for item in found]
