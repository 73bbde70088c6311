"""From `spec.circuit` to what is known of the circuit: read it, keep what was fetched, have it validated.

What comes from a URL or from Git is kept in an immutable ConfigMap that belongs to the job, before it is looked
at: every later attempt runs these very bytes.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from typing import Any

from api.names import (
    ANNOTATION_DIGEST,
    ANNOTATION_REVISION,
    ANNOTATION_SEAL,
    API_VERSION,
    INPUT_KEY,
    LABEL_JOB_NAME,
    LABEL_JOB_UID,
    LABEL_MANAGED_BY,
    LABEL_ROLE,
    MANAGED_BY,
    ROLE_INPUT,
)
from api.naming import input_name, label_value
from api.reasons import REASONS, Reason, is_retried
from api.seal import Seal
from api.views import CircuitMetadata, QiskitJob
from backends import Refused
from backends.aer.refusals import refusal_of
from kube import CONFIG_MAPS, QISKIT_JOBS, AlreadyExists, ApiError, Client, NotFound
from messages.circuit import Format
from messages.failure import account
from messages.validation import (
    FetchRequest,
    FetchResponse,
    Finding,
    GitReference,
    ValidateRequest,
    ValidateResponse,
    Verdict,
)
from reconcilers.job.accounts import storable
from reconcilers.job.validation import ValidationRefused, ValidationService, ValidationUnavailable
from reconcilers.job.world import Examination, Examined, ServiceDown, SourceMissing, SourceRefused

INPUT_LIMIT = 1_000_000
"""Bytes of a fetched source: what a ConfigMap of 1 MiB holds beside its metadata."""


@dataclass(frozen=True, slots=True)
class Source:
    """The bytes of a circuit's source, and the commit that they come from."""

    content: bytes
    revision: str | None = None


class Examiner:
    """Reads and validates the sources of jobs."""

    def __init__(self, client: Client, service: ValidationService, seal: Seal) -> None:
        self._client = client
        self._service = service
        self._seal = seal

    async def examine(self, job: QiskitJob, method: str, *, noise: bool) -> Examination:
        """Read the job's source and have it looked at, for a simulation by `method`, with a device's noise or
        without.

        Raises:
            kube.ApiError, backends.ProviderUnavailable: if the API server cannot be asked.
        """
        try:
            source = await self._read(job)
        except ValidationUnavailable as error:
            return ServiceDown(Reason.VALIDATION_UNAVAILABLE, str(error))
        except ValidationRefused as error:
            return SourceRefused(Reason.INVALID_SPEC, f"the source cannot be fetched: {error}")
        if not isinstance(source, Source):
            return source
        try:
            answer = await self._service.validate(_request(job, source.content, method, noise))
        except ValidationUnavailable as error:
            return ServiceDown(Reason.VALIDATION_UNAVAILABLE, str(error))
        except ValidationRefused as error:
            return Examined(
                source_hash=_hash(source.content),
                revision=source.revision,
                unknown=("ValidationRefused", f"the validation service did not take the circuit: {error}"),
            )
        return _examined(source, answer)

    async def _read(self, job: QiskitJob) -> Source | SourceMissing | SourceRefused | ServiceDown:
        circuit, namespace = job.spec.circuit, job.metadata.namespace
        if circuit.source == "inline":
            return await self._inline(job)
        if circuit.source == "configmap" and circuit.config_map_ref is not None:
            reference = circuit.config_map_ref
            return await self._config_map(namespace, reference.name, reference.key)
        if circuit.source in ("url", "git"):
            return await self._fetched(job)
        return SourceRefused(Reason.INVALID_SPEC, f"spec.circuit.source {circuit.source!r} lacks its block")

    async def _inline(self, job: QiskitJob) -> Source | SourceRefused:
        code = job.spec.circuit.code
        if code is None:  # the cache drops what is large
            live = await self._client.get(
                QISKIT_JOBS, job.metadata.name, job.metadata.namespace, type=QiskitJob
            )
            code = live.spec.circuit.code if live.metadata.uid == job.metadata.uid else None
        if code is None:
            return SourceRefused(Reason.INVALID_SPEC, "spec.circuit.source inline needs spec.circuit.code")
        return Source(code.encode())

    async def _config_map(self, namespace: str, name: str, key: str) -> Source | SourceMissing:
        try:
            found: dict[str, Any] = await self._client.get(CONFIG_MAPS, name, namespace)
        except NotFound:
            return SourceMissing(f"ConfigMap {name} does not exist yet")
        content = _value(found, key)
        return Source(content) if content is not None else SourceMissing(f"ConfigMap {name} has no key {key}")

    async def _fetched(self, job: QiskitJob) -> Source | SourceMissing | SourceRefused | ServiceDown:
        kept = await self._kept(job)
        if kept is not None:
            return kept
        answer = await self._service.fetch(_fetch_request(job))
        if answer.content is None:
            return _not_fetched(answer)
        if len(answer.content) > INPUT_LIMIT:
            size, most = len(answer.content), INPUT_LIMIT
            return SourceRefused(
                Reason.CIRCUIT_INVALID, f"the source has {size} bytes, and at most {most} are taken"
            )
        try:
            await self._client.create(
                CONFIG_MAPS, input_config_map(job, answer, self._seal), job.metadata.namespace
            )
        except AlreadyExists:
            # An earlier pass of ours kept it, or somebody took its name.
            kept = await self._kept(job)
            return kept if kept is not None else SourceMissing("the fetched source was deleted")
        except ApiError as error:
            return _not_kept(error)
        return Source(answer.content, answer.revision)

    async def _kept(self, job: QiskitJob) -> Source | SourceRefused | None:
        """What was fetched for this very job before."""
        name = input_name(job.metadata.uid)
        try:
            found: dict[str, Any] = await self._client.get(CONFIG_MAPS, name, job.metadata.namespace)
        except NotFound:
            return None
        metadata = found["metadata"]
        labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
        content = _value(found, INPUT_KEY)
        if (
            content is None
            or labels.get(LABEL_JOB_UID) != job.metadata.uid
            or not self._seal.fits(job.metadata.namespace, name, labels, annotations)
            or annotations.get(ANNOTATION_DIGEST) != _hash(content)
        ):
            return SourceRefused(
                Reason.SOURCE_FORBIDDEN, f"ConfigMap {name} exists and is not this job's; delete it"
            )
        return Source(content, annotations.get(ANNOTATION_REVISION))


def input_config_map(job: QiskitJob, fetched: FetchResponse, seal: Seal) -> dict[str, Any]:
    """The immutable ConfigMap that keeps a fetched source for as long as its job exists."""
    metadata: dict[str, Any] = {
        "name": input_name(job.metadata.uid),
        "namespace": job.metadata.namespace,
        "labels": {
            LABEL_MANAGED_BY: MANAGED_BY,
            LABEL_ROLE: ROLE_INPUT,
            LABEL_JOB_UID: job.metadata.uid,
            LABEL_JOB_NAME: label_value(job.metadata.name),
        },
        "ownerReferences": [
            {
                "apiVersion": API_VERSION,
                "kind": "QiskitJob",
                "name": job.metadata.name,
                "uid": job.metadata.uid,
                "controller": True,
                "blockOwnerDeletion": False,
            }
        ],
    }
    content = fetched.content or b""
    annotations = {ANNOTATION_DIGEST: _hash(content)}
    if fetched.revision is not None:
        annotations[ANNOTATION_REVISION] = fetched.revision
    annotations[ANNOTATION_SEAL] = seal.of(
        job.metadata.namespace, metadata["name"], metadata["labels"], annotations
    )
    metadata["annotations"] = annotations
    body: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "immutable": True}
    text = _text(content)
    if text is not None:
        body["data"] = {INPUT_KEY: text}
    else:
        body["binaryData"] = {INPUT_KEY: base64.b64encode(content).decode("ascii")}
    return body


def _request(job: QiskitJob, content: bytes, method: str, noise: bool) -> ValidateRequest:
    circuit, execution = job.spec.circuit, job.spec.execution
    text = _text(content)
    return ValidateRequest(
        code=text,
        source=content if text is None else None,
        format=Format(circuit.format) if circuit.format else None,
        entrypoint=circuit.entrypoint,
        parameters=circuit.parameters,
        backend_name=job.spec.backend.name,
        method=method,
        optimization_level=execution.optimization_level,
        shots=execution.shots,
        noise=noise,
    )


def _fetch_request(job: QiskitJob) -> FetchRequest:
    circuit = job.spec.circuit
    if circuit.source == "git" and circuit.git_ref is not None:
        git = circuit.git_ref
        return FetchRequest(
            git=GitReference(
                repository=git.repository, path=git.path, branch=git.branch, revision=git.revision
            )
        )
    return FetchRequest(url=circuit.url)


def _not_fetched(answer: FetchResponse) -> SourceMissing | SourceRefused | ServiceDown:
    message = answer.message or "the source cannot be fetched"
    if answer.reason == Reason.SOURCE_NOT_FOUND:
        return SourceMissing(message)
    if answer.retryable:
        return ServiceDown(Reason.PROVIDER_UNAVAILABLE, message)
    known = answer.reason if answer.reason is not None and answer.reason in REASONS else None
    return SourceRefused(known or Reason.SOURCE_FORBIDDEN, message)


def _not_kept(error: ApiError) -> SourceRefused | ServiceDown:
    """Raises: backends.ProviderUnavailable: if the API server was not able to answer, or may soon take it."""
    refused = refusal_of("the ConfigMap that keeps the fetched source", Reason.SOURCE_FORBIDDEN, error)
    if not isinstance(refused, Refused):
        raise refused from error
    if is_retried(refused.reason):
        return ServiceDown(refused.reason, refused.message)
    return SourceRefused(refused.reason, refused.message)


def _examined(source: Source, answer: ValidateResponse) -> Examined:
    refusal = unknown = None
    if answer.verdict == Verdict.INVALID:
        refusal = _refusal(answer)
    elif answer.verdict == Verdict.UNKNOWN:
        unknown = (answer.reason or "ValidationUnknown", answer.message or "the validation gave no verdict")
    return Examined(
        source_hash=_hash(source.content),
        revision=source.revision,
        circuit=_circuit(answer),
        refusal=refusal,
        unknown=unknown,
        warnings=tuple(_sentence(warning) for warning in answer.warnings),
    )


def _refusal(answer: ValidateResponse) -> tuple[str, str]:
    if not answer.errors:
        return Reason.CIRCUIT_INVALID, answer.message or "the validation service refused the circuit"
    first = answer.errors[0]
    message = account(first.message, first.line, first.traceback)
    return first.reason if first.reason in REASONS else Reason.CIRCUIT_INVALID, message


def _sentence(finding: Finding) -> str:
    return account(finding.message, finding.line, None)


def _circuit(answer: ValidateResponse) -> CircuitMetadata | None:
    if answer.qubits is None:
        return None
    return CircuitMetadata(
        hash=answer.circuit_hash,
        depth=answer.depth,
        qubits=answer.qubits,
        gates=answer.gates,
        gate_types=answer.gate_types,
        method=answer.method,
        memory_bytes=storable(answer.memory_bytes),
    )


def _value(config_map: dict[str, Any], key: str) -> bytes | None:
    text = (config_map.get("data") or {}).get(key)
    if text is not None:
        return str(text).encode()
    binary = (config_map.get("binaryData") or {}).get(key)
    return base64.b64decode(binary) if binary is not None else None


def _text(content: bytes) -> str | None:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _hash(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
