"""What a cluster refuses or cannot do for a job, and what the job then says."""

from __future__ import annotations

import json

from e2e.suite.backends import a_backend, on
from e2e.suite.jobs import a_busy_job, a_job, events_of, pods_of, until_phase, until_reason
from e2e.suite.kubectl import Kubectl
from e2e.suite.waiting import eventually


def test_an_image_that_cannot_be_pulled_is_waited_for_and_then_named(kubectl: Kubectl) -> None:
    kubectl.apply(
        a_backend("nowhere", image="localhost:1/none:1"),
        a_job("bell", backend=on("nowhere"), timeouts={"pending": "20s"}),
    )
    waiting = until_reason(kubectl, "bell", "ImagePullFailed")
    assert waiting["phase"] == "Scheduling", "it waits in place"
    assert "localhost:1/none:1" in waiting["message"]
    failed = until_phase(kubectl, "bell", "Failed")
    assert failed["reason"] == "ImagePullFailed"
    assert "localhost:1/none:1" in failed["message"]


def test_a_pod_that_fits_no_node_is_waited_for_and_then_says_what_is_short(kubectl: Kubectl) -> None:
    kubectl.apply(
        a_job("huge", resources={"requests": {"cpu": "5000"}}, timeouts={"pending": "10s"}),
    )
    waiting = until_reason(kubectl, "huge", "Unschedulable")
    assert "Insufficient cpu" in waiting["message"]
    assert until_phase(kubectl, "huge", "Failed")["reason"] == "Unschedulable"


def test_an_exhausted_quota_is_retried_until_there_is_room(kubectl: Kubectl) -> None:
    kubectl("create", "quota", "full", "--hard=pods=0")
    # The quota counts once its controller has seen it.
    eventually(lambda: "pods" in kubectl.json("get", "quota", "full").get("status", {}).get("hard", {}))
    backoff = {"initial": "1s", "multiplier": 2, "maximum": "4s"}
    kubectl.apply(a_job("bell", retryPolicy={"maxRetries": 20, "backoff": backoff}))
    waiting = until_reason(kubectl, "bell", "QuotaExceeded")
    assert waiting["phase"] in ("Pending", "Retrying", "Scheduling")
    assert "full" in waiting["message"]
    kubectl("delete", "quota", "full")
    until_phase(kubectl, "bell", "Completed")


def test_a_limit_range_that_forbids_the_pod_fails_the_job_with_its_words(kubectl: Kubectl) -> None:
    kubectl.apply(
        {
            "apiVersion": "v1",
            "kind": "LimitRange",
            "metadata": {"name": "small"},
            "spec": {"limits": [{"type": "Container", "max": {"memory": "1Mi"}}]},
        },
        a_job("bell"),
    )
    status = until_phase(kubectl, "bell", "Failed")
    assert status["reason"] == "PodRejected"
    assert "maximum memory usage per Container is 1Mi" in status["message"]
    assert pods_of(kubectl, "bell") == []


def test_a_container_killed_for_its_memory_is_out_of_memory_and_not_retried(kubectl: Kubectl) -> None:
    # The supervisor and Qiskit alone need more than this, so the kernel ends the container.
    limits = {"memory": "32Mi"}
    kubectl.apply(a_job("cramped", resources={"requests": limits, "limits": limits}))
    status = until_phase(kubectl, "cramped", "Failed")
    assert status["reason"] in ("OutOfMemory", "InsufficientResources")
    assert status.get("retryCount", 0) == 0


def test_an_evicted_executor_is_replaced_by_another_attempt(kubectl: Kubectl) -> None:
    kubectl.apply(
        a_busy_job("long", retryPolicy={"maxRetries": 2, "backoff": {"initial": "1s"}}),
    )
    first = until_phase(kubectl, "long", "Running")
    (pod,) = pods_of(kubectl, "long")
    name = pod["metadata"]["name"]
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    path = f"/api/v1/namespaces/{kubectl.namespace}/pods/{name}/eviction"
    kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(eviction))
    eventually(lambda: _attempt(kubectl, "long") == 2, within=60)
    second = until_phase(kubectl, "long", "Running")
    assert second["jobId"] != first["jobId"]
    assert second["retryCount"] == 1
    eventually(lambda: "Retrying" in events_of(kubectl, "long"))


def _attempt(kubectl: Kubectl, job: str) -> int:
    return int(kubectl.json("get", "qjob", job)["status"].get("attempt", 0))
