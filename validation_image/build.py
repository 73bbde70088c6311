"""Building and describing circuits, in the sandbox: the verdict on what the user wrote."""

from __future__ import annotations

import warnings

from circuits import BuiltCircuit, CircuitError, describe, load
from messages.failure import ExecutorReason
from messages.validation import Finding, ValidateRequest, ValidateResponse, Verdict
from validation_image.estimate import execution_seconds
from validation_image.scratch import WITHOUT_FOLDER, misses_scratch
from validation_image.tasks import MOST_WARNINGS

_LARGEST_NUMBER = (1 << 62) - 1
"""A state vector of 60 qubits and more; the messages carry 64 bits."""


def build_circuits(request: ValidateRequest) -> ValidateResponse:
    """Build the circuits and describe the widest of them.

    Raises MemoryError if there is too little of it, which is no statement about the circuit.
    """
    content = request.code.encode() if request.code is not None else request.source or b""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("default")
        try:
            built = load(content, request.format, request.entrypoint, request.parameters, noise=request.noise)
        except CircuitError as error:
            if error.reason is ExecutorReason.USER_CODE_ERROR and misses_scratch(error):
                return ValidateResponse(
                    verdict=Verdict.UNKNOWN,
                    valid=False,
                    reason=WITHOUT_FOLDER,
                    message=f"the code writes into its scratch folder, which only an executor has: {error.said}",
                    warnings=_of_the_user(heard),
                )
            finding = Finding(
                reason=error.reason, message=error.message, line=error.line, traceback=error.traceback
            )
            return ValidateResponse(
                verdict=Verdict.INVALID, valid=False, errors=(finding,), warnings=_of_the_user(heard)
            )
    widest = max(built, key=lambda one: (one.circuit.num_qubits, one.circuit.depth()))
    return _described(request, built, widest, _of_the_user(heard))


def _described(
    request: ValidateRequest, built: list[BuiltCircuit], widest: BuiltCircuit, heard: tuple[Finding, ...]
) -> ValidateResponse:
    facts = describe(
        widest.circuit,
        name=widest.name,
        method=request.method,
        noise=request.noise,
        shots=request.shots,
    )
    memory = facts.memory_bytes
    return ValidateResponse(
        verdict=Verdict.VALID,
        valid=True,
        warnings=heard,
        circuits=len(built),
        qubits=facts.qubits,
        clbits=facts.clbits,
        depth=facts.depth,
        gates=facts.gates,
        gate_types=facts.gate_types,
        circuit_hash=facts.hash,
        method=facts.method,
        memory_bytes=memory if memory is None else min(memory, _LARGEST_NUMBER),
        estimated_execution_time=execution_seconds(widest.circuit, facts.method, facts.depth)
        if len(built) == 1
        else None,
    )


def _of_the_user(heard: list[warnings.WarningMessage]) -> tuple[Finding, ...]:
    """Deprecation warnings that the user's own lines have caused: they break with the next Qiskit."""
    found = [
        Finding(reason="Deprecated", message=" ".join(str(one.message).split())[:500], line=one.lineno)
        for one in heard
        if one.filename == "circuit.py" and issubclass(one.category, (DeprecationWarning, FutureWarning))
    ]
    return tuple(found[:MOST_WARNINGS])
