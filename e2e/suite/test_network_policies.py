"""The policies around executors and the operator's own pods: what they say, and what a network makes of them.

Their effect is asked of the network itself, by pods that try to connect. A cluster whose network plugin enforces no
policy can show none, which skips those tests; the suite's own cluster enforces them.
"""

from __future__ import annotations

import json
import os

import pytest

from e2e.suite.jobs import a_job, until_phase
from e2e.suite.kubectl import Kubectl
from e2e.suite.probes import a_pod, run_python

Targets = dict[str, tuple[str, int]]

REACHES = """
import json, socket, time

def reaches(host, port):
    try:
        socket.create_connection((host, port), 3).close()
    except OSError:
        return False
    return True

deadline = time.monotonic() + 20
while True:
    found = {{name: reaches(*target) for name, target in {targets!r}.items()}}
    if found == {wanted!r} or time.monotonic() > deadline:
        break
    time.sleep(0.5)
print(json.dumps(found))
"""
"""Tries until the network has heard of the pod and its policies, which it does a moment after the pod runs."""

LISTENS = """
import socket
server = socket.create_server(("", 9000))
while True:
    server.accept()[0].close()
"""

DENY_ALL = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "deny-all"},
    "spec": {"podSelector": {}, "policyTypes": ["Egress"]},
}

EXECUTOR = {"app.kubernetes.io/managed-by": "qiskit-operator", "quantum.io/role": "executor"}


@pytest.fixture
def enforced(kubectl: Kubectl, places: Targets) -> None:
    """Policies have an effect here."""
    kubectl.apply(DENY_ALL)
    found = _reached(kubectl, {"API server": places["API server"]}, {"API server": False})
    kubectl("delete", "networkpolicy", "deny-all")
    if found["API server"]:
        assert not os.environ.get("NETWORK_POLICIES_ENFORCED"), "this cluster ought to enforce policies"
        pytest.skip("this cluster's network plugin enforces no NetworkPolicy")


@pytest.fixture
def places(installed: Kubectl, cluster: Kubectl) -> Targets:
    """What there is to reach in every cluster with the operator."""
    return {
        "API server": (_address(cluster.within("default"), "kubernetes"), 443),
        "DNS": (_address(cluster.within("kube-system"), "kube-dns"), 53),
        "gateway": (_address(installed, "qiskit-operator-gateway"), 8443),
        "validation": (_address(installed, "qiskit-operator-validation"), 8080),
    }


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
    gateway = _address(installed, "qiskit-operator-gateway")
    assert {"cidr": f"{gateway}/32"} in [peer.get("ipBlock") for peer in way_out["to"]]
    selected = spec["podSelector"]["matchLabels"].items()
    assert selected <= pod["metadata"]["labels"].items()


@pytest.mark.usefixtures("enforced")
def test_an_executor_reaches_the_gateway_and_nothing_else(kubectl: Kubectl, places: Targets) -> None:
    kubectl.apply(a_job("bell"))
    until_phase(kubectl, "bell", "Completed")
    neighbour = {"neighbour": _listening(kubectl, "neighbour")}
    only_the_gateway = dict.fromkeys((*places, "neighbour"), False) | {"gateway": True}
    assert _reached(kubectl, places | neighbour, only_the_gateway, EXECUTOR) == only_the_gateway


@pytest.mark.usefixtures("enforced")
def test_nobody_reaches_an_executor(kubectl: Kubectl) -> None:
    kubectl.apply(a_job("bell"))
    until_phase(kubectl, "bell", "Completed")
    targets = {
        "executor": _listening(kubectl, "shut-in", EXECUTOR),
        "neighbour": _listening(kubectl, "neighbour"),
    }
    wanted = {"executor": False, "neighbour": True}
    assert _reached(kubectl, targets, wanted) == wanted


@pytest.mark.usefixtures("enforced")
def test_other_pods_reach_neither_gateway_nor_validation(kubectl: Kubectl, places: Targets) -> None:
    wanted = {"API server": True, "DNS": True, "gateway": False, "validation": False}
    assert _reached(kubectl, places, wanted) == wanted


@pytest.mark.usefixtures("enforced")
def test_the_validation_service_reaches_names_and_nothing_else_inside(
    installed: Kubectl, places: Targets
) -> None:
    wanted = {"API server": False, "DNS": True, "gateway": False}
    targets = {name: places[name] for name in wanted}
    code = REACHES.format(targets=targets, wanted=wanted)
    said = installed("exec", "deploy/qiskit-operator-validation", "--", "python", "-c", code)
    assert json.loads(said) == wanted


def _reached(
    kubectl: Kubectl, targets: Targets, wanted: dict[str, bool], labels: dict[str, str] | None = None
) -> dict[str, bool]:
    """Which targets a pod with these labels reaches, once that is what is wanted or time is over."""
    found: dict[str, bool] = json.loads(
        run_python(kubectl, REACHES.format(targets=targets, wanted=wanted), labels=labels)
    )
    return found


def _listening(kubectl: Kubectl, name: str, labels: dict[str, str] | None = None) -> tuple[str, int]:
    """A pod that takes connections, and where."""
    ready = {"tcpSocket": {"port": 9000}, "periodSeconds": 1}
    pod = a_pod(name, LISTENS, labels=labels)
    pod["spec"]["containers"][0]["readinessProbe"] = ready
    kubectl.apply(pod)
    kubectl("wait", f"pod/{name}", "--for=condition=Ready", "--timeout=60s")
    return kubectl("get", "pod", name, "-o", "jsonpath={.status.podIP}"), 9000


def _address(kubectl: Kubectl, service: str) -> str:
    return str(kubectl.json("get", "service", service)["spec"]["clusterIP"])
