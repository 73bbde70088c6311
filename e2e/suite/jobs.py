"""Jobs that tests apply, and what they read of them."""

from __future__ import annotations

import gzip
import json
from base64 import b64decode
from textwrap import dedent
from typing import Any

from e2e.suite.kubectl import Kubectl
from e2e.suite.waiting import eventually

BELL = """\
from qiskit import QuantumCircuit

qc = QuantumCircuit(2)
qc.h(0)
qc.cx(0, 1)
qc.measure_all()
"""


FINAL = ("Completed", "Failed", "Cancelled")


def a_job(name: str, code: str = BELL, **blocks: Any) -> dict[str, Any]:
    """A job of inline code; further blocks of the spec by name."""
    return {
        "apiVersion": "quantum.io/v1",
        "kind": "QiskitJob",
        "metadata": {"name": name},
        "spec": {
            "backend": {"type": "local_simulator"},
            "circuit": {"source": "inline", "code": dedent(code)},
            **blocks,
        },
    }


def a_busy_job(name: str, **blocks: Any) -> dict[str, Any]:
    """A job that runs until somebody ends it."""
    execution = {"shots": 100000, "method": "statevector", "noiseModel": "guadalupe"}
    return a_job(name, _BUSY_NOISY, execution=execution, **blocks)


_BUSY_NOISY = """\
from qiskit import QuantumCircuit

qc = QuantumCircuit(14)
for layer in range(60):
    for qubit in range(14):
        qc.rx(0.1 * (layer + 1), qubit)
    for qubit in range(13):
        qc.cx(qubit, qubit + 1)
qc.measure_all()
"""


def status_of(kubectl: Kubectl, job: str) -> dict[str, Any]:
    """The job's status; empty before the operator has written any."""
    status: dict[str, Any] = kubectl.json("get", "qjob", job).get("status", {})
    return status


def phases(kubectl: Kubectl) -> dict[str, str]:
    """The phase of every job of the namespace."""
    return {
        item["metadata"]["name"]: item.get("status", {}).get("phase", "")
        for item in kubectl.json("get", "qjob")["items"]
    }


def until_phase(kubectl: Kubectl, job: str, phase: str, *, within: float = 120) -> dict[str, Any]:
    """Wait until the job has the phase, and return its status. A job that ends in another phase raises."""
    return _until(kubectl, job, "phase", phase, within)


def until_reason(kubectl: Kubectl, job: str, reason: str, *, within: float = 120) -> dict[str, Any]:
    """Wait until the job gives the reason, in whatever phase, and return its status."""
    return _until(kubectl, job, "reason", reason, within)


def _until(kubectl: Kubectl, job: str, field: str, value: str, within: float) -> dict[str, Any]:
    def there() -> dict[str, Any] | None:
        status = status_of(kubectl, job)
        if status.get(field) == value:
            return status
        if status.get("phase") in FINAL:
            raise AssertionError(
                f"{job} is {status['phase']}: {status.get('reason')}: {status.get('message')}"
            )
        return None

    found = eventually(there, within=within)
    assert found is not None
    return found


def all_completed(kubectl: Kubectl, count: int, *, within: float) -> None:
    """Wait until all jobs of the namespace are Completed; one that fails ends the wait."""

    def there() -> bool:
        found = phases(kubectl)
        bad = {name: phase for name, phase in found.items() if phase in ("Failed", "Cancelled")}
        if bad:
            first = next(iter(bad))
            raise AssertionError(f"{bad}: {status_of(kubectl, first)}")
        return len(found) == count and all(phase == "Completed" for phase in found.values())

    eventually(there, within=within, every=1)


def result_of(kubectl: Kubectl, job: str) -> Any:
    """The result document of a job that is Completed, with its result in a ConfigMap."""
    location = status_of(kubectl, job)["results"]["location"]
    stored = kubectl.json("get", "configmap", location)
    if "results.json" in stored.get("data", {}):
        return json.loads(stored["data"]["results.json"])
    return json.loads(gzip.decompress(b64decode(stored["binaryData"]["results.json.gz"])))


def pods_of(kubectl: Kubectl, job: str) -> list[dict[str, Any]]:
    """The job's executor pods, whatever their state."""
    found: list[dict[str, Any]] = kubectl.json("get", "pods", "-l", f"quantum.io/job-name={job}")["items"]
    return found


def events_of(kubectl: Kubectl, job: str) -> list[str]:
    """Reasons of the job's events."""
    found = kubectl.json("get", "events", "--field-selector", f"involvedObject.name={job}")["items"]
    return [event["reason"] for event in found]
