"""The API server is killed under a running operator, which notices, waits, and goes on.

Once it only restarts; once etcd has meanwhile forgotten the version at which the operator's watches would resume.
"""

from __future__ import annotations

import subprocess

from e2e.suite.installing import CONTROLLER
from e2e.suite.jobs import a_busy_job, a_job, status_of, until_phase
from e2e.suite.kubectl import Kubectl
from e2e.suite.probes import killing, start_on_node
from e2e.suite.waiting import eventually

COMPACTION = f"""
import base64, json, ssl, urllib.request
pki = "/proc/1/root/etc/kubernetes/pki/etcd"
trust = ssl.create_default_context(cafile=pki + "/ca.crt")
trust.load_cert_chain(pki + "/healthcheck-client.crt", pki + "/healthcheck-client.key")

def etcd(call, **body):
    request = urllib.request.Request("https://127.0.0.1:2379/v3/kv/" + call, json.dumps(body).encode())
    with urllib.request.urlopen(request, context=trust, timeout=10) as answer:
        return json.load(answer)["header"]["revision"]

key = base64.b64encode(b"/compaction-probe").decode()
{killing("kube-apiserver")}
for _ in range(50):
    etcd("put", key=key, value="")
print("compacted", etcd("compaction", revision=etcd("deleterange", key=key), physical=True))
"""
"""Kills the API server, and makes etcd forget all history before a revision that no watch has seen."""


def test_an_outage_of_the_api_server_ends_no_job_and_restarts_nobody(
    kubectl: Kubectl, cluster: Kubectl, operator: Kubectl
) -> None:
    kubectl.apply(a_busy_job("long"))
    before = until_phase(kubectl, "long", "Running")
    controllers = _restarts(operator)

    _outage(cluster, killing("kube-apiserver"))

    kubectl.apply(*(a_job(f"bell-{number}") for number in range(3)))
    for number in range(3):
        until_phase(kubectl, f"bell-{number}", "Completed")
    assert status_of(kubectl, "long")["jobId"] == before["jobId"]
    assert _restarts(operator) == controllers, "no container of the controller was restarted"
    kubectl("delete", "qjob", "long")


def test_watches_whose_history_etcd_has_compacted_start_anew(
    kubectl: Kubectl, cluster: Kubectl, operator: Kubectl
) -> None:
    kubectl.apply(a_busy_job("long"))
    before = until_phase(kubectl, "long", "Running")
    controllers = _restarts(operator)
    told = _told(operator)

    _outage(cluster, COMPACTION)

    eventually(lambda: _told(operator) > told, within=120)
    kubectl.apply(a_job("bell"))
    until_phase(kubectl, "bell", "Completed")
    assert status_of(kubectl, "long")["jobId"] == before["jobId"]
    assert _restarts(operator) == controllers, "no container of the controller was restarted"
    kubectl("delete", "qjob", "long")


def _outage(cluster: Kubectl, code: str) -> None:
    """Run code on the API server's node that kills it, and wait until another one answers."""
    node = cluster.json("get", "node", "-l", "node-role.kubernetes.io/control-plane")["items"][0]
    servers = _server_restarts(cluster)
    probe, system = start_on_node(cluster, node["metadata"]["name"], code)
    eventually(lambda: _server_restarts(cluster) not in ([], servers), within=120)
    eventually(lambda: system.run("delete", "pod", probe, "--now").returncode == 0, within=60)


def _told(operator: Kubectl) -> int:
    """How often the controller was told that it cannot resume a watch."""
    label = f"app.kubernetes.io/name={CONTROLLER}"
    return operator("logs", "-l", label, "--tail=-1").count("too old resource version")


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
