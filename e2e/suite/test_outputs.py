"""Where results go: ConfigMaps that go with their job or stay, and claims."""

from __future__ import annotations

import json

from e2e.suite.jobs import a_job, result_of, status_of, until_phase
from e2e.suite.kubectl import Kubectl
from e2e.suite.probes import a_claim, run_python
from e2e.suite.waiting import eventually


def test_a_deleted_job_takes_its_result_along_and_a_retained_result_stays(kubectl: Kubectl) -> None:
    kubectl.apply(
        a_job("goes"),
        a_job("stays", output={"type": "configmap", "location": "kept", "retention": "retain"}),
    )
    for job in ("goes", "stays"):
        until_phase(kubectl, job, "Completed")
        assert set(result_of(kubectl, job)["results"]["counts"]) == {"00", "11"}
    kubectl("delete", "qjob", "goes", "stays")
    eventually(lambda: kubectl.run("get", "configmap", "goes-results").returncode != 0)
    assert kubectl.json("get", "configmap", "kept")["metadata"].get("ownerReferences") is None


def test_a_result_never_overwrites_what_the_job_does_not_own(kubectl: Kubectl) -> None:
    kubectl("create", "configmap", "mine", "--from-literal=precious=yes")
    kubectl.apply(a_job("bell", output={"type": "configmap", "location": "mine"}))
    status = until_phase(kubectl, "bell", "Failed")
    assert status["reason"] == "OutputConflict"
    assert kubectl.json("get", "configmap", "mine")["data"] == {"precious": "yes"}


def test_a_claim_holds_results_of_two_jobs_and_others_can_read_them(kubectl: Kubectl) -> None:
    kubectl.apply(
        a_claim("results"),
        a_job("first", output={"type": "pvc", "location": "results"}),
        a_job("second", output={"type": "pvc", "location": "results", "format": "csv"}),
    )
    for job in ("first", "second"):
        until_phase(kubectl, job, "Completed", within=180)
    uid = {job: kubectl.json("get", "qjob", job)["metadata"]["uid"] for job in ("first", "second")}
    said = run_python(
        kubectl,
        """
        import json, pathlib
        found = {str(p.relative_to("/claim")): p.read_text() for p in pathlib.Path("/claim").rglob("*")
                 if p.is_file()}
        print(json.dumps(found))
        """,
        claim="results",
    )
    files = json.loads(said)
    for job in ("first", "second"):
        document = json.loads(files[f"{job}-{uid[job]}/results.json"])
        assert sum(document["results"]["counts"].values()) == 1024
        assert uid[job] in status_of(kubectl, job)["results"]["location"]
    assert any(path.startswith("second-") and path.endswith(".csv") for path in files)


def test_a_claim_that_does_not_exist_fails_the_job_before_a_pod_starts(kubectl: Kubectl) -> None:
    kubectl.apply(a_job("bell", output={"type": "pvc", "location": "nowhere"}, timeouts={"pending": "5s"}))
    status = until_phase(kubectl, "bell", "Failed")
    assert "nowhere" in status["message"]
    assert kubectl.json("get", "pods")["items"] == []
