"""Jobs that have run to their end, with all that they leave behind: what a cluster looks like after a week."""

from __future__ import annotations

from typing import Any

import msgspec

from api.names import API_VERSION, LABEL_ATTEMPT, LABEL_JOB_NAME, LABEL_JOB_UID, LABEL_MANAGED_BY, MANAGED_BY
from api.naming import child_name
from api.seal import Seal
from bench.cluster import Cluster, many
from gateway.output import Owner, result_config_map
from kube import CONFIG_MAPS, PODS, QISKIT_JOBS, PartialObject
from messages.circuit import CircuitFacts
from messages.work import HandIn, Summary

AT = "2026-01-01T00:00:00Z"

CODE = """
from qiskit import QuantumCircuit

qc = QuantumCircuit(2)
qc.h(0)
qc.cx(0, 1)
qc.measure_all()
"""

FACTS = CircuitFacts(
    name="bell",
    qubits=2,
    clbits=2,
    depth=3,
    gates=2,
    gate_types={"h": 1, "cx": 1},
    hash=f"sha256:{'1' * 64}",
    method="stabilizer",
    memory_bytes=64,
)

SUMMARY = Summary(
    shots=1024,
    top_counts={"00": 520, "11": 504},
    circuit=FACTS,
    circuits=1,
    backend_version="0.18.2",
    method="stabilizer",
    execution_seconds=0.01,
    total_seconds=0.2,
    peak_memory_bytes=100 << 20,
    cpu_seconds=0.2,
)

DOCUMENT = msgspec.json.encode({"schema": "quantum.io/result/v1", "results": {"counts": SUMMARY.top_counts}})


def job(name: str) -> dict[str, Any]:
    """A Bell job."""
    return {
        "apiVersion": API_VERSION,
        "kind": "QiskitJob",
        "metadata": {"name": name},
        "spec": {
            "backend": {"type": "local_simulator"},
            "circuit": {"source": "inline", "code": CODE},
            "execution": {"shots": 1024},
        },
    }


SEAL = Seal(b"nobody reads these results again")


async def finish(cluster: Cluster, namespace: str, names: list[str]) -> None:
    """Make jobs, and for each its status, its pod and its result as an operator would have left them."""

    async def one(name: str) -> None:
        made = await cluster.client.create(QISKIT_JOBS, job(name), namespace, type=PartialObject)
        uid = made.metadata.uid
        pod = await cluster.client.create(PODS, _pod(name, uid), namespace, type=PartialObject)
        await cluster.client.merge_patch(
            PODS, pod.metadata.name, ENDED, namespace, subresource="status", type=msgspec.Raw
        )
        hand_in = HandIn(
            job_uid=uid, attempt=1, digest=f"sha256:{'0' * 64}", document=DOCUMENT, summary=SUMMARY
        )
        owner = Owner(name=name, namespace=namespace, uid=uid, attempt=1, retain=False)
        result = result_config_map(
            owner, hand_in, Seal(bytes(32)), name=f"{name}-results", location=f"{name}-results"
        )
        await cluster.client.create(CONFIG_MAPS, result, namespace, type=msgspec.Raw)
        await cluster.client.merge_patch(
            QISKIT_JOBS,
            name,
            _status(name, pod.metadata.uid),
            namespace,
            subresource="status",
            type=msgspec.Raw,
        )

    await many(one, names)


def _status(name: str, pod_uid: str) -> dict[str, Any]:
    conditions = ("Validated", "Scheduled", "Submitted", "ResultsStored", "Complete")
    return {
        "status": {
            "phase": "Completed",
            "message": "Completed: 1024 shots.",
            "reason": "Completed",
            "observedGeneration": 1,
            "startTime": AT,
            "completionTime": AT,
            "attempt": 1,
            "jobId": pod_uid,
            "selectedBackend": "local_simulator",
            "backendInfo": {"name": "local_simulator", "version": "0.18.2"},
            "circuitMetadata": {
                "hash": f"sha256:{'1' * 64}",
                "depth": 3,
                "qubits": 2,
                "gates": 2,
                "gateTypes": {"h": 1, "cx": 1},
                "method": "stabilizer",
                "memoryBytes": 64,
            },
            "source": {"hash": f"sha256:{'2' * 64}"},
            "results": {
                "location": f"{name}-results",
                "digest": f"sha256:{'0' * 64}",
                "shots": 1024,
                "executionTime": "10ms",
                "topCounts": SUMMARY.top_counts,
            },
            "metrics": {"submissionTime": AT, "executionTime": "10ms", "totalTime": "200ms"},
            "conditions": [
                {
                    "type": kind,
                    "status": "True",
                    "reason": kind,
                    "message": "",
                    "observedGeneration": 1,
                    "lastTransitionTime": AT,
                }
                for kind in conditions
            ],
        }
    }


def _pod(name: str, uid: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": child_name(name, uid, "1"),
            "labels": {
                LABEL_MANAGED_BY: MANAGED_BY,
                LABEL_JOB_UID: uid,
                LABEL_JOB_NAME: name,
                LABEL_ATTEMPT: "1",
            },
            "ownerReferences": [
                {"apiVersion": API_VERSION, "kind": "QiskitJob", "name": name, "uid": uid, "controller": True}
            ],
        },
        "spec": {
            "nodeName": "node-1",
            "containers": [
                {
                    "name": "executor",
                    "image": "qiskit-operator/executor:0.1.0",
                    "resources": {"requests": {"cpu": "500m", "memory": "256Mi"}},
                }
            ],
        },
    }


ENDED: dict[str, Any] = {
    "status": {
        "phase": "Succeeded",
        "startTime": AT,
        "containerStatuses": [
            {
                "name": "executor",
                "ready": False,
                "restartCount": 0,
                "image": "qiskit-operator/executor:0.1.0",
                "imageID": "",
                "state": {
                    "terminated": {
                        "exitCode": 0,
                        "reason": "Completed",
                        "startedAt": AT,
                        "finishedAt": AT,
                    }
                },
            }
        ],
    }
}
