"""The controller goes away, in every way, while fifty jobs are under way: all end, and nothing runs twice."""

from __future__ import annotations

from collections.abc import Callable

from e2e.suite.backends import a_backend, on
from e2e.suite.installing import CONTROLLER, until_up
from e2e.suite.jobs import a_job, all_completed, phases
from e2e.suite.kubectl import Kubectl
from e2e.suite.probes import killing, run_on_node
from e2e.suite.waiting import eventually

JOBS = 50
AT_A_TIME = 6
"""Enough to be interrupted in every stage, few enough for a node of two cores."""


def _delete(cluster: Kubectl, operator: Kubectl) -> None:
    operator("delete", "pod", "-l", f"app.kubernetes.io/name={CONTROLLER}", "--wait=false")


def _kill(cluster: Kubectl, operator: Kubectl) -> None:
    pods = operator.json("get", "pod", "-l", f"app.kubernetes.io/name={CONTROLLER}")["items"]
    (node,) = {pod["spec"]["nodeName"] for pod in pods if "deletionTimestamp" not in pod["metadata"]}
    assert "killed" in run_on_node(cluster, node, killing("-m", "controller"))


def _roll(cluster: Kubectl, operator: Kubectl) -> None:
    operator("rollout", "restart", f"deployment/{CONTROLLER}")


FAULTS: dict[int, Callable[[Kubectl, Kubectl], None]] = {5: _delete, 18: _kill, 32: _roll}
"""What happens after how many jobs have ended."""


def test_fifty_jobs_end_once_each_while_the_controller_is_deleted_killed_and_rolled(
    kubectl: Kubectl, cluster: Kubectl, operator: Kubectl
) -> None:
    kubectl.apply(
        a_backend("few", limits={"concurrentJobs": AT_A_TIME}),
        *(a_job(f"bell-{number:02d}", backend=on("few")) for number in range(JOBS)),
    )
    for ended, fault in FAULTS.items():
        _until_completed(kubectl, ended)
        assert _completed(kubectl) < JOBS, "the fault came too late to meet a job"
        fault(cluster, operator)
        until_up(cluster)
    all_completed(kubectl, JOBS, within=240)
    _nothing_ran_twice(kubectl)


def _until_completed(kubectl: Kubectl, count: int) -> None:
    eventually(lambda: _completed(kubectl) >= count, within=150, every=0.5)


def _completed(kubectl: Kubectl) -> int:
    return list(phases(kubectl).values()).count("Completed")


def _nothing_ran_twice(kubectl: Kubectl) -> None:
    """One attempt, one pod, one result for each job."""
    jobs = kubectl.json("get", "qjob")["items"]
    assert {job["status"]["attempt"] for job in jobs} == {1}
    pods = kubectl.json("get", "pods", "-l", "quantum.io/role=executor")["items"]
    owners = [pod["metadata"]["labels"]["quantum.io/job-uid"] for pod in pods]
    assert sorted(owners) == sorted(job["metadata"]["uid"] for job in jobs)
    results = kubectl.json("get", "configmap", "-l", "quantum.io/role=result")["items"]
    assert len(results) == JOBS
