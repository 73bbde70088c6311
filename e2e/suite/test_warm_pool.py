"""Warm executors on real pods: taken once, replaced, and given back when the backend goes."""

from __future__ import annotations

from typing import Any

from e2e.suite.backends import a_backend, on
from e2e.suite.jobs import a_job, until_phase
from e2e.suite.kubectl import Kubectl
from e2e.suite.waiting import eventually


def test_jobs_take_warm_pods_once_each_and_the_pool_fills_again(kubectl: Kubectl) -> None:
    kubectl.apply(a_backend("fast", warmPool={"size": 2}))
    eventually(lambda: _warm(kubectl) == 2, within=120)
    waiting = {pod["metadata"]["uid"] for pod in _pods(kubectl)}
    kubectl.apply(a_job("one", backend=on("fast")), a_job("two", backend=on("fast")))
    ran = {until_phase(kubectl, job, "Completed")["jobId"] for job in ("one", "two")}
    assert ran == waiting, "each warm pod did one job"
    eventually(lambda: _warm(kubectl) == 2, within=120)
    assert not ran & {pod["metadata"]["uid"] for pod in _pods(kubectl) if _waits(pod)}
    kubectl("delete", "qbackend", "fast")
    eventually(lambda: [pod for pod in _pods(kubectl) if _waits(pod)] == [], within=60)


def _warm(kubectl: Kubectl) -> int:
    return int(kubectl.json("get", "qbackend", "fast").get("status", {}).get("warm", 0))


def _pods(kubectl: Kubectl) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = kubectl.json("get", "pods")["items"]
    return found


def _waits(pod: dict[str, Any]) -> bool:
    """Whether the pod is there for a job to come."""
    metadata = pod["metadata"]
    return "quantum.io/claim" not in metadata.get("annotations", {}) and "deletionTimestamp" not in metadata
