"""The kinds of this API as a cluster knows them: names, columns, and the models of spec and status."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel

from api.backend import QiskitBackendSpec, QiskitBackendStatus
from api.job_spec import QiskitJobSpec
from api.job_status import QiskitJobStatus


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `kubectl get`; a wide one shows with `-o wide` only."""

    name: str
    path: str
    type: str = "string"
    wide: bool = False
    description: str = ""


@dataclass(frozen=True, slots=True)
class Kind:
    """One custom resource."""

    kind: str
    plural: str
    short_names: tuple[str, ...]
    description: str
    spec: type[BaseModel]
    status: type[BaseModel]
    columns: tuple[Column, ...]


_AGE = Column("Age", ".metadata.creationTimestamp", "date")

QISKIT_JOB = Kind(
    kind="QiskitJob",
    plural="qiskitjobs",
    short_names=("qjob", "qj"),
    description=(
        "QiskitJob runs Qiskit circuits once and stores the counts. Its status says how far it has come, and "
        "where the result is."
    ),
    spec=QiskitJobSpec,
    status=QiskitJobStatus,
    columns=(
        Column("Phase", ".status.phase"),
        Column("Backend", ".status.selectedBackend", description="The backend that the job runs on"),
        Column("Shots", ".spec.execution.shots", "integer"),
        Column("Qubits", ".status.circuitMetadata.qubits", "integer", wide=True),
        Column("Depth", ".status.circuitMetadata.depth", "integer", wide=True),
        Column("Duration", ".status.metrics.totalTime", wide=True, description="From creation to the end"),
        Column("Reason", ".status.reason", wide=True),
        _AGE,
    ),
)

QISKIT_BACKEND = Kind(
    kind="QiskitBackend",
    plural="qiskitbackends",
    short_names=("qbackend",),
    description="QiskitBackend is a named set of defaults and limits for jobs of its namespace.",
    spec=QiskitBackendSpec,
    status=QiskitBackendStatus,
    columns=(
        Column("Type", ".spec.type"),
        Column("Ready", ".status.ready", "boolean"),
        Column("Running", ".status.running", "integer", description="Jobs that hold a place"),
        Column("Queued", ".status.queued", "integer", description="Jobs that wait for a place"),
        Column("Warm", ".status.warm", "integer", wide=True, description="Pods that wait for a job"),
        Column("Noise", ".spec.noiseModel", wide=True),
        _AGE,
    ),
)

KINDS = (QISKIT_JOB, QISKIT_BACKEND)
