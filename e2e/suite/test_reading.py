"""What a user reads with nothing but kubectl: columns, wait, describe, events, logs and explain."""

from __future__ import annotations

import pytest

from e2e.suite.jobs import a_busy_job, a_job, events_of, until_phase
from e2e.suite.kubectl import Kubectl
from e2e.suite.waiting import eventually


def test_a_job_tells_its_story(kubectl: Kubectl) -> None:
    kubectl.apply(a_job("bell"))
    kubectl("wait", "qjob/bell", "--for=condition=Complete", "--timeout=120s", timeout=140)

    header, line = kubectl("get", "qjob").splitlines()
    assert header.split() == ["NAME", "PHASE", "BACKEND", "SHOTS", "AGE"]
    assert line.split()[:4] == ["bell", "Completed", "local_simulator", "1024"]
    wide = kubectl("get", "qj", "-o", "wide").splitlines()
    assert {"QUBITS", "DEPTH", "DURATION", "REASON"} <= set(wide[0].split())

    described = kubectl("describe", "qjob", "bell")
    for said in ("bell-results", "Top Counts", "the result is in bell-results"):
        assert said in described
    # A circuit this short may be over before its node has said that it runs: Running is not asked for here.
    eventually(lambda: {"Scheduling", "Submitted", "Completed"} <= set(events_of(kubectl, "bell")))
    described = kubectl("describe", "qjob", "bell")
    assert described.index("Events:") < described.index("Scheduling") < len(described)

    logs = kubectl("logs", "-l", "quantum.io/job-name=bell", "--tail=-1")
    assert "result stored at bell-results" in logs


def test_a_failed_job_names_the_line_and_shows_the_traceback(kubectl: Kubectl) -> None:
    kubectl.apply(a_job("typo", "from qiskit import QuantumCircuit\nqc = QuantumCircuit(2)\nqc.hh(0)\n"))
    kubectl("wait", "qjob/typo", "--for=condition=Failed", "--timeout=120s", timeout=140)
    status = kubectl.json("get", "qjob", "typo")["status"]
    assert status["reason"] == "UserCodeError"
    assert "line 3" in status["message"]
    assert "hh" in status["message"]
    assert "UserCodeError" in kubectl("get", "qjob", "typo", "-o", "wide")
    eventually(lambda: "Failed" in events_of(kubectl, "typo"))


def test_a_running_job_can_be_watched_suspended_resumed_and_cancelled(kubectl: Kubectl) -> None:
    kubectl.apply(a_busy_job("long"))
    until_phase(kubectl, "long", "Running")
    eventually(lambda: {"Scheduling", "Submitted", "Running"} <= set(events_of(kubectl, "long")))
    kubectl("patch", "qjob", "long", "--type=merge", "-p", '{"spec":{"suspend":true}}')
    kubectl("wait", "qjob/long", "--for=condition=Suspended", "--timeout=60s")
    kubectl("wait", "pod", "-l", "quantum.io/job-name=long", "--for=delete", "--timeout=60s")
    kubectl("patch", "qjob", "long", "--type=merge", "-p", '{"spec":{"suspend":false}}')
    status = until_phase(kubectl, "long", "Running")
    assert status.get("retryCount", 0) == 0, "a suspension is no retry"
    kubectl("patch", "qjob", "long", "--type=merge", "-p", '{"spec":{"cancel":true}}')
    kubectl("wait", "qjob/long", "--for=jsonpath={.status.phase}=Cancelled", "--timeout=60s")
    refused = kubectl.run("patch", "qjob", "long", "--type=merge", "-p", '{"spec":{"cancel":false}}')
    assert refused.returncode != 0
    kubectl("wait", "pod", "-l", "quantum.io/job-name=long", "--for=delete", "--timeout=60s")


def test_a_job_goes_when_its_time_to_live_is_over(kubectl: Kubectl) -> None:
    kubectl.apply(a_job("brief", ttlSecondsAfterFinished=5))
    kubectl("wait", "qjob/brief", "--for=condition=Complete", "--timeout=120s", timeout=140)
    kubectl("wait", "qjob/brief", "--for=delete", "--timeout=60s")
    kubectl("wait", "pod", "-l", "quantum.io/job-name=brief", "--for=delete", "--timeout=60s")


def test_a_spec_is_refused_by_the_api_server_with_the_field_that_is_wrong(kubectl: Kubectl) -> None:
    refused = kubectl.create(a_job("none", execution={"shots": 0}))
    assert "spec.execution.shots" in refused.stderr
    kubectl.apply(a_job("bell", suspend=True))
    changed = kubectl.run("patch", "qjob", "bell", "--type=merge", "-p", '{"spec":{"execution":{"shots":9}}}')
    assert "spec.execution" in changed.stderr
    assert "cannot be changed" in changed.stderr


@pytest.mark.parametrize(
    "path",
    [
        "spec.circuit.code",
        "spec.execution.shots",
        "spec.output.retention",
        "status.conditions",
        "spec.timeouts",
    ],
)
def test_every_field_is_explained(installed: Kubectl, path: str) -> None:
    said = installed("explain", f"qjob.{path}")
    _, _, description = said.partition("DESCRIPTION:")
    assert len(description.split()) > 3, said
