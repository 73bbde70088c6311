"""The writes that a job takes, for rivals that decide nothing: of the operator's number, order and size."""

from __future__ import annotations

from typing import Any

import msgspec

from api.names import API_VERSION
from backends import Attempt, Owner, Resources, Submission
from backends.aer import AerSettings, GatewayAccess
from backends.aer.pods import executor_pod
from bench.finished import AT, FACTS, SUMMARY
from kube import PODS, QISKIT_JOBS, Client, ObjectReference, PartialObject
from kube.events import EventRecorder

AUTHORITY = "-----BEGIN CERTIFICATE-----\n" + ("A" * 64 + "\n") * 10 + "-----END CERTIFICATE-----\n"
SETTINGS = AerSettings(gateway=lambda: GatewayAccess("https://127.0.0.1:8443", AUTHORITY))
IMAGE = "qiskit-operator/executor:0.1.0"
RESOURCES = Resources(requests={"cpu": "500m", "memory": "256Mi"}, limits={"cpu": "1", "memory": "512Mi"})


def _condition(kind: str, reason: str) -> dict[str, Any]:
    return {
        "type": kind,
        "status": "True",
        "reason": reason,
        "message": "attempt 1 on local_simulator",
        "observedGeneration": 1,
        "lastTransitionTime": AT,
    }


VALIDATED = _condition("Validated", "CircuitValid")
SCHEDULED = _condition("Scheduled", "AttemptRecorded")
SUBMITTED = _condition("Submitted", "PodCreated")

INTENT: dict[str, Any] = {
    "phase": "Scheduling",
    "message": "attempt 1 goes to local_simulator",
    "observedGeneration": 1,
    "startTime": AT,
    "attempt": 1,
    "selectedBackend": "local_simulator",
    "source": {"hash": f"sha256:{'2' * 64}"},
    "circuitMetadata": {
        "hash": FACTS.hash,
        "depth": 3,
        "qubits": 2,
        "gates": 2,
        "gateTypes": FACTS.gate_types,
        "method": "stabilizer",
        "memoryBytes": 64,
    },
    "conditions": [VALIDATED, SCHEDULED],
}

RUNNING: dict[str, Any] = {"phase": "Running", "message": "attempt 1 runs"}


def completed(name: str) -> dict[str, Any]:
    """The last status."""
    return {
        "phase": "Completed",
        "message": "1024 shots in 10ms",
        "completionTime": AT,
        "backendInfo": {"name": "local_simulator", "version": "0.18.2"},
        "results": {
            "location": f"{name}-results",
            "digest": f"sha256:{'0' * 64}",
            "shots": 1024,
            "executionTime": "10ms",
            "topCounts": SUMMARY.top_counts,
        },
        "metrics": {"submissionTime": AT, "queueTime": "1s", "executionTime": "10ms", "totalTime": "200ms"},
        "conditions": [
            VALIDATED,
            SCHEDULED,
            SUBMITTED,
            _condition("ResultsStored", "Stored"),
            _condition("Complete", "Completed"),
        ],
    }


class JobWriter:
    """Makes the writes of jobs of one namespace, and an event for each change of phase."""

    def __init__(self, client: Client, recorder: EventRecorder, namespace: str) -> None:
        self._client = client
        self._recorder = recorder
        self._namespace = namespace

    async def begin(self, name: str, uid: str) -> None:
        """Intent, pod, record: three writes."""
        await self._status(name, INTENT)
        self._say(name, uid, "Scheduling")
        owner = Owner(namespace=self._namespace, name=name, uid=uid)
        submission = Submission(
            attempt=Attempt(owner=owner, number=1),
            backend="local_simulator",
            image=IMAGE,
            resources=RESOURCES,
        )
        body = executor_pod(SETTINGS, submission)
        pod = await self._client.create(PODS, body, self._namespace, type=PartialObject)
        record = {"jobId": pod.metadata.uid, "conditions": [VALIDATED, SCHEDULED, SUBMITTED]}
        await self._status(name, record)
        self._say(name, uid, "Submitted")

    async def run(self, name: str, uid: str) -> None:
        """The pod runs: one write."""
        await self._status(name, RUNNING)
        self._say(name, uid, "Running")

    async def complete(self, name: str, uid: str) -> None:
        """The result is there: one write."""
        await self._status(name, completed(name))
        self._say(name, uid, "Completed")

    async def _status(self, name: str, status: dict[str, Any]) -> None:
        await self._client.merge_patch(
            QISKIT_JOBS,
            name,
            {"status": status},
            self._namespace,
            subresource="status",
            type=msgspec.Raw,
        )

    def _say(self, name: str, uid: str, reason: str) -> None:
        about = ObjectReference(API_VERSION, "QiskitJob", self._namespace, name, uid)
        self._recorder.emit(about, "Normal", reason, f"{reason}: attempt 1 on local_simulator")
