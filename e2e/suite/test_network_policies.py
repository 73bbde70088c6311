"""The policy that shuts executors in, and, where the cluster's network plugin enforces policies, its effect."""

from __future__ import annotations

import json

import pytest

from e2e.suite.installing import OPERATOR
from e2e.suite.jobs import a_job, until_phase
from e2e.suite.kubectl import Kubectl
from e2e.suite.probes import run_python

REACHES = """
import json, socket
reached = {{}}
for name, (host, port) in {targets!r}.items():
    try:
        socket.create_connection((host, port), 3).close()
    except OSError:
        reached[name] = False
    else:
        reached[name] = True
print(json.dumps(reached))
"""

DENY_ALL = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "deny-all"},
    "spec": {"podSelector": {}, "policyTypes": ["Egress"]},
}

EXECUTOR = {"app.kubernetes.io/managed-by": "qiskit-operator", "quantum.io/role": "executor"}


def test_a_namespace_has_its_policy_before_its_first_executor(kubectl: Kubectl, installed: Kubectl) -> None:
    kubectl.apply(a_job("bell"))
    until_phase(kubectl, "bell", "Completed")
    policy = kubectl.json("get", "networkpolicy", "qiskit-operator-executors")
    (pod,) = kubectl.json("get", "pods")["items"]
    assert policy["metadata"]["creationTimestamp"] <= pod["metadata"]["creationTimestamp"]
    spec = policy["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec.get("ingress", []) == []
    (way_out,) = spec["egress"]
    assert {port["port"] for port in way_out["ports"]} == {8443}
    gateway = installed.json("get", "service", "qiskit-operator-gateway")["spec"]["clusterIP"]
    assert {"cidr": f"{gateway}/32"} in [peer.get("ipBlock") for peer in way_out["to"]]
    selected = spec["podSelector"]["matchLabels"].items()
    assert selected <= pod["metadata"]["labels"].items()


def test_an_executor_reaches_the_gateway_and_nothing_else(
    kubectl: Kubectl, installed: Kubectl, cluster: Kubectl
) -> None:
    targets = {
        "API server": (_address(cluster.within("default"), "kubernetes"), 443),
        "gateway": (_address(installed, "qiskit-operator-gateway"), 8443),
        "validation": (_address(installed, "qiskit-operator-validation"), 8080),
    }
    kubectl.apply(DENY_ALL)
    if json.loads(run_python(kubectl, REACHES.format(targets=targets)))["API server"]:
        pytest.skip("this cluster's network plugin enforces no NetworkPolicy")
    kubectl("delete", "networkpolicy", "deny-all")
    kubectl.apply(a_job("bell"))
    until_phase(kubectl, "bell", "Completed")
    reached = json.loads(run_python(kubectl, REACHES.format(targets=targets), labels=EXECUTOR))
    assert reached == {"API server": False, "gateway": True, "validation": False}
    assert json.loads(run_python(kubectl, REACHES.format(targets=targets)))["validation"] is False, (
        f"validation takes calls of the controller alone, see the policies of {OPERATOR}"
    )


def _address(kubectl: Kubectl, service: str) -> str:
    return str(kubectl.json("get", "service", service)["spec"]["clusterIP"])
