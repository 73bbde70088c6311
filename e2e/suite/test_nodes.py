"""Nodes that are emptied while jobs run on them."""

from __future__ import annotations

from e2e.suite.installing import until_up
from e2e.suite.jobs import a_busy_job, a_job, pods_of, until_phase
from e2e.suite.kubectl import Kubectl
from e2e.suite.waiting import eventually


def test_a_drained_node_gives_its_jobs_and_the_operator_to_the_other(
    kubectl: Kubectl, cluster: Kubectl, operator: Kubectl
) -> None:
    kubectl.apply(a_busy_job("long", retryPolicy={"maxRetries": 3, "backoff": {"initial": "1s"}}))
    first = until_phase(kubectl, "long", "Running")
    (pod,) = pods_of(kubectl, "long")
    node = pod["spec"]["nodeName"]
    try:
        cluster(
            *("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--force"),
            *("--timeout=120s", "--grace-period=10"),
            timeout=150,
        )

        def moved() -> bool:
            status = kubectl.json("get", "qjob", "long")["status"]
            return bool(status["phase"] == "Running" and status["jobId"] != first["jobId"])

        eventually(moved, within=90)
        running = [p for p in pods_of(kubectl, "long") if p["status"]["phase"] == "Running"]
        assert [p["spec"]["nodeName"] != node for p in running] == [True]
        until_up(cluster)
        kubectl.apply(a_job("bell"))
        until_phase(kubectl, "bell", "Completed")
    finally:
        cluster("uncordon", node)
    kubectl("delete", "qjob", "long")
