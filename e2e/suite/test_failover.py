"""Three replicas: when the leader goes, another leads in time, and jobs go on meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from e2e.suite.installing import CONTROLLER, install
from e2e.suite.jobs import a_job, all_completed
from e2e.suite.kubectl import Kubectl
from e2e.suite.probes import killing, run_on_node
from e2e.suite.waiting import eventually

AFTER_KILL = 20.0
"""Seconds until another leads: the lease runs out after 15, and is asked for every 2."""

AFTER_STOP = 5.0
"""Seconds until another leads when the leader releases the lease."""


@pytest.fixture
def three(operator: Kubectl, cluster: Kubectl) -> Iterator[Kubectl]:
    """kubectl in the namespace of an operator with three replicas."""
    install(cluster, "ha")
    yield operator
    install(cluster, "default")


def leader(operator: Kubectl) -> str:
    """The pod that holds the lease; empty if none does."""
    holder = operator.json("get", "lease", "qiskit-operator")["spec"].get("holderIdentity") or ""
    return str(holder).partition("_")[0]


def test_another_replica_takes_over_in_time(three: Kubectl, kubectl: Kubectl, cluster: Kubectl) -> None:
    pods = three.json("get", "pod", "-l", f"app.kubernetes.io/name={CONTROLLER}")["items"]
    nodes = {pod["metadata"]["name"]: pod["spec"]["nodeName"] for pod in pods}
    assert len(set(nodes.values())) > 1, "replicas are spread over the nodes"

    first = eventually(lambda: leader(three))
    kubectl.apply(*(a_job(f"during-stop-{number}") for number in range(5)))
    three("delete", "pod", first, "--wait=false")
    stopped = time.monotonic()
    second = eventually(lambda: (name := leader(three)) != first and name, within=AFTER_STOP + 10, every=0.1)
    assert time.monotonic() - stopped < AFTER_STOP
    all_completed(kubectl, 5, within=120)

    assert isinstance(second, str)
    if second not in nodes:
        pod = three.json("get", "pod", second)
        nodes[second] = pod["spec"]["nodeName"]
    kubectl.apply(*(a_job(f"during-kill-{number}") for number in range(5)))
    transitions = _transitions(three)
    assert "killed" in run_on_node(cluster, nodes[second], killing("-m", "controller", pod=second))
    killed = time.monotonic()
    eventually(lambda: _transitions(three) > transitions, within=AFTER_KILL + 10, every=0.2)
    assert time.monotonic() - killed < AFTER_KILL
    all_completed(kubectl, 10, within=120)
    attempts = {job["status"]["attempt"] for job in kubectl.json("get", "qjob")["items"]}
    assert attempts == {1}, "no job was started again"


def _transitions(operator: Kubectl) -> int:
    return int(operator.json("get", "lease", "qiskit-operator")["spec"].get("leaseTransitions", 0))
