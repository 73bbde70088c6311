"""The API server is killed under a running operator, which notices, waits, and goes on."""

from __future__ import annotations

import subprocess

from e2e.suite.installing import CONTROLLER
from e2e.suite.jobs import a_busy_job, a_job, status_of, until_phase
from e2e.suite.kubectl import Kubectl
from e2e.suite.probes import killing, start_on_node
from e2e.suite.waiting import eventually


def test_an_outage_of_the_api_server_ends_no_job_and_restarts_nobody(
    kubectl: Kubectl, cluster: Kubectl, operator: Kubectl
) -> None:
    kubectl.apply(a_busy_job("long"))
    before = until_phase(kubectl, "long", "Running")
    node = cluster.json("get", "node", "-l", "node-role.kubernetes.io/control-plane")["items"][0]
    name = node["metadata"]["name"]
    servers, controllers = _server_restarts(cluster), _restarts(operator)

    probe, system = start_on_node(cluster, name, killing("kube-apiserver"))
    eventually(lambda: _server_restarts(cluster) not in ([], servers), within=120)
    eventually(lambda: system.run("delete", "pod", probe, "--now").returncode == 0, within=60)

    eventually(lambda: kubectl.run("get", "qjob", "long").returncode == 0, within=60)
    kubectl.apply(*(a_job(f"bell-{number}") for number in range(3)))
    for number in range(3):
        until_phase(kubectl, f"bell-{number}", "Completed")
    assert status_of(kubectl, "long")["jobId"] == before["jobId"]
    assert _restarts(operator) == controllers, "no container of the controller was restarted"
    kubectl("delete", "qjob", "long")


def _server_restarts(cluster: Kubectl) -> list[tuple[str, int]]:
    """Empty while nobody answers."""
    system = cluster.within("kube-system")
    try:
        return _counts(system, "component=kube-apiserver")
    except (AssertionError, subprocess.TimeoutExpired):
        return []


def _restarts(operator: Kubectl) -> list[tuple[str, int]]:
    return _counts(operator, f"app.kubernetes.io/name={CONTROLLER}")


def _counts(kubectl: Kubectl, selector: str) -> list[tuple[str, int]]:
    pods = kubectl.json("get", "pod", "-l", selector)["items"]
    return sorted((p["metadata"]["name"], p["status"]["containerStatuses"][0]["restartCount"]) for p in pods)
