"""Work orders for the tests."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from messages.circuit import Format, Source
from messages.work import Execution, Limits, Output, WorkOrder

SECONDS = 60.0
"""What no step takes, however busy the machine."""

BELL = """
from qiskit import QuantumCircuit
qc = QuantumCircuit(2)
qc.h(0)
qc.cx(0, 1)
qc.measure_all()
"""


ENDLESS = "import time\nprint('started', flush=True)\nwhile True: time.sleep(0.01)"


def an_order(
    code: str | bytes = BELL,
    *,
    parameters: Sequence[dict[str, float]] = (),
    entrypoint: str | None = None,
    language: Format | None = None,
    memory: int | None = 1 << 30,
    most_qubits: int | None = None,
    output: Output | None = None,
    seconds: float = SECONDS,
    **execution: Any,
) -> WorkOrder:
    """A work order for `code`; `execution` takes the fields of messages.work.Execution."""
    content = code if isinstance(code, bytes) else code.encode()
    source = Source(
        content=content,
        hash=f"sha256:{hashlib.sha256(content).hexdigest()}",
        format=language,
        entrypoint=entrypoint,
        parameters=tuple(parameters),
    )
    defaults = {
        "shots": 1024,
        "optimization_level": 1,
        "method": "automatic",
        "max_execution_seconds": seconds,
    }
    return WorkOrder(
        job_name="bell",
        namespace="lab",
        job_uid="11111111-2222-3333-4444-555555555555",
        attempt=2,
        backend="local_simulator",
        source=source,
        execution=Execution(**{**defaults, **execution}),
        limits=Limits(memory_bytes=memory, cpus=1.0, qubits=most_qubits),
        output=output or Output(type="configmap"),
        submission_time="2026-01-01T00:00:00Z",
        operator_version="0.1.0",
        executor_image="qiskit-operator/executor:0.1.0",
    )
