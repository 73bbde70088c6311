"""What the controller and the validation service say to each other.

    POST /validate  ValidateRequest  200 ValidateResponse · 400 malformed · 429 busy (Retry-After)
    POST /fetch     FetchRequest     200 FetchResponse    · 400 malformed · 429 busy (Retry-After)
    GET  /health · GET /ready (which sandbox layers are active) · GET /metrics

A limit is not a verdict: where building the circuit hit a limit of the service, `verdict` is `unknown`.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from messages.circuit import Format


class Verdict(StrEnum):
    """`valid` and `invalid` are statements about the circuit, `unknown` is one about the service."""

    VALID = "valid"
    INVALID = "invalid"
    UNKNOWN = "unknown"


class ValidationLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one validation; a service lowers, never raises, what it is asked for."""

    wall_seconds: float = 10.0
    cpu_seconds: float = 10.0
    memory_bytes: int = 1 << 30
    output_bytes: int = 1 << 20


class ValidateRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A circuit to look at. Exactly one of `code` (text) and `source` (base64 in JSON) is set.

    `noise` says that a device's noise will be simulated, which takes another method and more memory.
    """

    code: str | None = None
    source: bytes | None = None
    format: Format | None = None
    entrypoint: str | None = None
    parameters: tuple[dict[str, float], ...] = ()
    backend_name: str | None = None
    method: str = "automatic"
    optimization_level: int = 1
    shots: int = 1024
    noise: bool = False
    limits: ValidationLimits | None = None


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One error or warning. `reason` is a `status.reason` for errors; `line` is in the user's own code."""

    reason: str
    message: str
    line: int | None = None
    traceback: str | None = None


class ValidateResponse(msgspec.Struct, frozen=True, kw_only=True):
    """What the service found. Figures describe the widest circuit where there are several.

    `reason` names the limit when the verdict is unknown (ValidationTimedOut, ValidationOutOfMemory, …).
    `estimated_execution_time` is in seconds and absent where there is no sound basis for one.
    """

    verdict: Verdict
    valid: bool
    errors: tuple[Finding, ...] = ()
    warnings: tuple[Finding, ...] = ()
    reason: str | None = None
    message: str | None = None
    circuits: int = 0
    qubits: int | None = None
    clbits: int | None = None
    depth: int | None = None
    gates: int | None = None
    gate_types: dict[str, int] = {}
    circuit_hash: str | None = None
    method: str | None = None
    memory_bytes: int | None = None
    estimated_execution_time: float | None = None


class GitReference(msgspec.Struct, frozen=True, kw_only=True):
    """A file in a Git repository (`spec.circuit.gitRef`)."""

    repository: str
    path: str
    branch: str | None = None
    revision: str | None = None


class FetchRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A source to fetch. Exactly one of `url` and `git` is set."""

    url: str | None = None
    git: GitReference | None = None


class FetchResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The fetched bytes, or why there are none.

    On success `content` and its `hash` (`sha256:<hex>`) are set, for Git also the commit as `revision`.
    Otherwise `reason` is SourceNotFound, SourceForbidden or ProviderUnavailable, and `retryable` says
    whether a later try can mend it.
    """

    content: bytes | None = None
    hash: str | None = None
    revision: str | None = None
    reason: str | None = None
    message: str | None = None
    retryable: bool = False
