"""The controller goes away, in every way, while fifty jobs are under way: all end, and nothing runs twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from e2e.suite.installing import CONTROLLER, until_up
from e2e.suite.jobs import a_job, all_completed, phases
from e2e.suite.kubectl import Kubectl
from e2e.suite.probes import killing, run_on_node
from e2e.suite.waiting import eventually

JOBS = 50
TINY = {"requests": {"cpu": "10m", "memory": "160Mi"}, "limits": {"memory": "512Mi"}}


def _delete(cluster: Kubectl, operator: Kubectl) -> None:
    operator("delete", "pod", "-l", f"app.kubernetes.io/name={CONTROLLER}", "--wait=false")


def _kill(cluster: Kubectl, operator: Kubectl) -> None:
    """SIGKILL, from the node."""
    pod = operator.json("get", "pod", "-l", f"app.kubernetes.io/name={CONTROLLER}")["items"][0]
    run_on_node(cluster, pod["spec"]["nodeName"], killing("-m", "controller"))


def _roll(cluster: Kubectl, operator: Kubectl) -> None:
    operator("rollout", "restart", f"deployment/{CONTROLLER}")


@pytest.mark.parametrize("fault", [_delete, _kill, _roll], ids=["deleted", "killed", "rolled"])
def test_fifty_jobs_end_once_each(
    kubectl: Kubectl,
    cluster: Kubectl,
    operator: Kubectl,
    fault: Callable[[Kubectl, Kubectl], None],
) -> None:
    kubectl.apply(*(a_job(f"bell-{number:02d}", resources=TINY) for number in range(JOBS)))
    eventually(lambda: list(phases(kubectl).values()).count("Completed") >= 5, within=120)
    fault(cluster, operator)
    all_completed(kubectl, JOBS, within=240)
    until_up(cluster)
    _nothing_ran_twice(kubectl)


def _nothing_ran_twice(kubectl: Kubectl) -> None:
    """One attempt, one pod, one result for each job."""
    jobs = kubectl.json("get", "qjob")["items"]
    assert {job["status"]["attempt"] for job in jobs} == {1}
    pods = kubectl.json("get", "pods", "-l", "quantum.io/role=executor")["items"]
    owners = [pod["metadata"]["labels"]["quantum.io/job-uid"] for pod in pods]
    assert sorted(owners) == sorted(job["metadata"]["uid"] for job in jobs)
    results = kubectl.json("get", "configmap", "-l", "quantum.io/role=result")["items"]
    assert len(results) == JOBS
