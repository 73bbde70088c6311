"""From a job to a work order: the source is read here and now, and must be the one that was decided on."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Any

from api.durations import parse_duration
from api.names import INPUT_KEY
from api.naming import input_name
from api.views import QiskitBackend, QiskitJob
from kube import CONFIG_MAPS, QISKIT_JOBS, Client, NotFound
from messages.circuit import Format, Source
from messages.failure import ExecutorReason
from messages.work import Execution, Limits, Output, WorkOrder


class NoOrder(Exception):
    """The attempt cannot go on: its source is gone or has changed. `reason` is the job's status.reason."""

    def __init__(self, reason: ExecutorReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class OrderSettings:
    """What an order says beyond its job. `default_max_execution` is in seconds."""

    operator_version: str
    default_max_execution: float


async def write_order(
    client: Client,
    job: QiskitJob,
    backend: QiskitBackend | None,
    *,
    attempt: int,
    image: str,
    limits: Limits,
    settings: OrderSettings,
) -> WorkOrder:
    """Read the job's source and write the order for one attempt.

    What the job leaves open (method automatic, no noise model) is as `backend` has it.

    Raises:
        NoOrder: if the source is gone, or its hash is not the one in `status.source.hash`.
        kube.ApiError: if the API server cannot be asked.
    """
    content = await read_source(client, job)
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    recorded = job.status.source.hash if job.status.source else None
    if recorded is not None and recorded != digest:
        raise NoOrder(
            ExecutorReason.SOURCE_CHANGED,
            f"the circuit's source changed after it was validated (was {recorded}, is {digest}); "
            "create a new job to run what it says now",
        )
    circuit, execution, output = job.spec.circuit, job.spec.execution, job.spec.output
    return WorkOrder(
        job_name=job.metadata.name,
        namespace=job.metadata.namespace,
        job_uid=job.metadata.uid,
        attempt=attempt,
        backend=job.status.selected_backend or job.spec.backend.type,
        source=Source(
            content=content,
            hash=digest,
            format=Format(circuit.format) if circuit.format else None,
            entrypoint=circuit.entrypoint,
            parameters=tuple(circuit.parameters),
        ),
        execution=Execution(
            shots=execution.shots,
            optimization_level=execution.optimization_level,
            method=_method(job, backend),
            max_execution_seconds=(
                parse_duration(execution.max_execution_time)
                if execution.max_execution_time
                else settings.default_max_execution
            ),
            **_noise(job, backend),
            seed_simulator=execution.seed_simulator,
            seed_transpiler=execution.seed_transpiler,
        ),
        limits=limits,
        output=Output(type=output.type, format=output.format, path=output.path),
        submission_time=job.metadata.creation_timestamp,
        operator_version=settings.operator_version,
        executor_image=image,
    )


def _noise(job: QiskitJob, backend: QiskitBackend | None) -> dict[str, str]:
    """The noise model and, where it is not the job's own, the field that has it."""
    own = job.spec.execution.noise_model
    if own:
        return {"noise_model": own}
    if backend is None or not backend.spec.noise_model:
        return {}
    field = f"spec.noiseModel of QiskitBackend {backend.metadata.name}"
    return {"noise_model": backend.spec.noise_model, "noise_field": field}


def _method(job: QiskitJob, backend: QiskitBackend | None) -> str:
    method = job.spec.execution.method
    if method == "automatic" and backend is not None and backend.spec.method:
        return backend.spec.method
    return method


async def read_source(client: Client, job: QiskitJob) -> bytes:
    """The bytes of the job's circuit, read live: caches drop code.

    Raises:
        NoOrder: if there is nothing where the spec points.
    """
    namespace, circuit = job.metadata.namespace, job.spec.circuit
    if circuit.source == "inline":
        live: dict[str, Any] = await client.get(QISKIT_JOBS, job.metadata.name, namespace)
        code: str | None = live["spec"]["circuit"].get("code")
        if live["metadata"]["uid"] != job.metadata.uid or code is None:
            raise NoOrder(ExecutorReason.SOURCE_NOT_FOUND, "the job that held the code is gone")
        return code.encode()
    if circuit.source == "configmap":
        assert circuit.config_map_ref is not None  # the schema's rule for source configmap
        name, key = circuit.config_map_ref.name, circuit.config_map_ref.key
    else:
        name, key = input_name(job.metadata.uid), INPUT_KEY
    try:
        config_map: dict[str, Any] = await client.get(CONFIG_MAPS, name, namespace)
    except NotFound:
        raise NoOrder(ExecutorReason.SOURCE_NOT_FOUND, f"ConfigMap {name} is gone") from None
    content = config_map_value(config_map, key)
    if content is None:
        raise NoOrder(ExecutorReason.SOURCE_NOT_FOUND, f"ConfigMap {name} has no key {key} any more")
    return content


def config_map_value(config_map: dict[str, Any], key: str) -> bytes | None:
    """The value of a key in `data` or `binaryData`, `None` if neither has it."""
    text = (config_map.get("data") or {}).get(key)
    if text is not None:
        return str(text).encode()
    binary = (config_map.get("binaryData") or {}).get(key)
    return base64.b64decode(binary) if binary is not None else None
