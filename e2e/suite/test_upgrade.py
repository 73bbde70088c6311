"""An upgrade in place from the newest release: what runs goes on running, and what was stored stays."""

from __future__ import annotations

import pytest

from e2e.suite.installing import CONTROLLER, ROOT, install, until_up
from e2e.suite.jobs import a_busy_job, a_job, pods_of, result_of, status_of, until_phase
from e2e.suite.kubectl import Kubectl
from e2e.suite.waiting import eventually

RELEASES = sorted(
    (ROOT / "deploy/releases").glob("v*.yaml"),
    key=lambda path: [int(part) for part in path.stem.removeprefix("v").split(".")],
)


@pytest.fixture
def released(operator: Kubectl, cluster: Kubectl) -> Kubectl:
    """The newest release, installed in the place of the operator; kubectl in its namespace."""
    cluster("delete", "-k", str(ROOT / "deploy/operator/default"), "--timeout=90s")
    cluster("apply", "--server-side", "--force-conflicts", "-f", str(RELEASES[-1]))
    until_up(cluster)
    return operator


def test_jobs_of_the_release_before_go_on_and_their_results_stay(
    released: Kubectl, kubectl: Kubectl, cluster: Kubectl
) -> None:
    kubectl.apply(a_job("before"), a_busy_job("during"))
    until_phase(kubectl, "before", "Completed")
    result = result_of(kubectl, "before")
    running = until_phase(kubectl, "during", "Running")
    old = _controllers(released)

    # As docs/upgrade.md says, and without force: the release's fields are the same manager's.
    cluster("apply", "--server-side", "-k", str(ROOT / "deploy/overlays/default"))
    # While both are of one version nothing differs, and the processes are exchanged all the same.
    released("rollout", "restart", f"deployment/{CONTROLLER}")
    until_up(cluster)
    assert not _controllers(released) & old

    kubectl.apply(a_job("after"))
    until_phase(kubectl, "after", "Completed")
    assert result_of(kubectl, "before") == result
    during = status_of(kubectl, "during")
    assert (during["phase"], during["attempt"], during["jobId"]) == ("Running", 1, running["jobId"])
    kubectl("patch", "qjob", "during", "--type=merge", "-p", '{"spec": {"cancel": true}}')
    until_phase(kubectl, "during", "Cancelled")
    # A pod that was told to end gets its time for that.
    eventually(lambda: not any(pod["status"]["phase"] == "Running" for pod in pods_of(kubectl, "during")))
    install(cluster, "default")


def _controllers(operator: Kubectl) -> set[str]:
    """UIDs of the controller's pods that are not on their way out."""
    pods = operator.json("get", "pod", "-l", f"app.kubernetes.io/name={CONTROLLER}")["items"]
    return {pod["metadata"]["uid"] for pod in pods if "deletionTimestamp" not in pod["metadata"]}
