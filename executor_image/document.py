"""The result document (`results.json`), its summary, and the extra formats. Pure construction.

`queue_time_seconds` is from the job's creation to the hand-out, `total_time_seconds` from the job's creation
to the end of the run; the steps in between add up to it but for the executor's own few milliseconds.
"""

from __future__ import annotations

import csv
import hashlib
import io
import pickle
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from executor_image.steps import Done, Ran
from messages.work import RESULT_SCHEMA, HandIn, Summary, WorkOrder

TOP_COUNTS = 10
"""Outcomes in a summary (its promise in `messages.work`)."""

READABLE_LIMIT = 64 << 10
"""Bytes up to which a document is indented for people who look at it with kubectl."""

KEY_PICKLE, KEY_CSV, KEY_QPY = "results.pickle", "results.csv", "circuit.qpy"

FREE = {"estimated": "$0.00", "actual": "$0.00", "currency": "USD"}
"""A local run has no price at a provider."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """All that is known at the end of an attempt. `started` and `ended` in UTC, times in seconds."""

    order: WorkOrder
    pod_uid: str
    circuits: Sequence[Ran]
    done: Done
    started: datetime
    ended: datetime
    build_seconds: float
    peak_memory_bytes: int
    cpu_seconds: float


def result_document(run: Run) -> dict[str, Any]:
    """The document as plain dictionaries, lists and numbers."""
    order, first = run.order, run.circuits[0]
    versions = run.done.versions
    return {
        "schema": RESULT_SCHEMA,
        "job_id": run.pod_uid,
        "job_name": order.job_name,
        "namespace": order.namespace,
        "uid": order.job_uid,
        "attempt": order.attempt,
        "backend": order.backend,
        "backend_info": {
            "name": order.backend,
            "type": "local_simulator",
            "version": versions["qiskit_aer"],
            "method": first.method,
            **({"noise_model": run.done.device} if run.done.device else {}),
        },
        "shots": order.execution.shots,
        "execution": _execution(run),
        "circuit": {
            "name": first.facts.name,
            "qubits": first.facts.qubits,
            "clbits": first.facts.clbits,
            "depth": first.facts.depth,
            "gates": first.facts.gates,
            "gate_types": first.facts.gate_types,
            "hash": first.facts.hash,
            "transpiled_depth": first.transpiled_depth,
            "transpiled_gates": first.transpiled_gates,
        },
        "results": _results(run),
        "cost": FREE,
        "provenance": {
            "operator": order.operator_version,
            "image": order.executor_image,
            "python": platform.python_version(),
            **versions,
        },
    }


def encode_document(document: dict[str, Any]) -> bytes:
    """The document's bytes; what its digest is taken of."""
    encoded = msgspec.json.encode(document)
    return msgspec.json.format(encoded, indent=2) if len(encoded) <= READABLE_LIMIT else encoded


def digest(content: bytes) -> str:
    """`sha256:<hex>` of `content`."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def extras(run: Run, document: dict[str, Any]) -> dict[str, bytes]:
    """The one more key or file that `spec.output.format` asks for."""
    match run.order.output.format:
        case "pickle":
            return {KEY_PICKLE: pickle.dumps(document, protocol=4)}  # plain types: loads without Qiskit
        case "csv":
            return {KEY_CSV: _csv(run.circuits)}
        case "qpy" if run.done.qpy is not None:
            return {KEY_QPY: run.done.qpy}
    return {}


def hand_in(run: Run, content: bytes, more: dict[str, bytes], *, on_volume: bool) -> HandIn:
    """What goes to the gateway. A result on a volume is handed in by its digest alone."""
    return HandIn(
        job_uid=run.order.job_uid,
        attempt=run.order.attempt,
        digest=digest(content),
        document=b"" if on_volume else content,
        summary=summary(run),
        extras={} if on_volume else more,
    )


def summary(run: Run) -> Summary:
    """The short account for the job's status: of the same circuit as the one that validation describes there."""
    first = run.circuits[0]
    widest = max(run.circuits, key=lambda ran: (ran.facts.qubits, ran.facts.depth))
    return Summary(
        shots=run.order.execution.shots,
        top_counts=dict(list(first.counts.items())[:TOP_COUNTS]),
        circuit=widest.facts,
        circuits=len(run.circuits),
        backend_version=run.done.versions["qiskit_aer"],
        method=widest.method,
        execution_seconds=_seconds(sum(ran.execution_seconds for ran in run.circuits)),
        total_seconds=_seconds((run.ended - run.started).total_seconds()),
        peak_memory_bytes=run.peak_memory_bytes,
        cpu_seconds=_seconds(run.cpu_seconds),
    )


def _execution(run: Run) -> dict[str, Any]:
    execution, first = run.order.execution, run.circuits[0]
    return {
        "start_time": _time(run.started),
        "end_time": _time(run.ended),
        "queue_time_seconds": _queued(run),
        "build_time_seconds": _seconds(run.build_seconds),
        "transpile_time_seconds": _seconds(sum(ran.transpile_seconds for ran in run.circuits)),
        "execution_time_seconds": _seconds(sum(ran.execution_seconds for ran in run.circuits)),
        "total_time_seconds": _total(run),
        "seed_simulator": execution.seed_simulator,
        "seed_transpiler": execution.seed_transpiler,
        "optimization_level": first.optimization_level,
        "peak_memory_bytes": run.peak_memory_bytes,
    }


def _results(run: Run) -> dict[str, Any]:
    first, shots = run.circuits[0], run.order.execution.shots
    results: dict[str, Any] = {"counts": first.counts, "shots": shots, "success": True}
    if len(run.circuits) > 1 or first.parameters:
        results["circuits"] = [
            {
                "name": ran.facts.name,
                "parameters": ran.parameters,
                "counts": ran.counts,
                "shots": shots,
                "hash": ran.facts.hash,
                "method": ran.method,
                "seed_simulator": ran.seed_simulator,
                "optimization_level": ran.optimization_level,
                "execution_time_seconds": _seconds(ran.execution_seconds),
            }
            for ran in run.circuits
        ]
    return results


def _csv(circuits: Sequence[Ran]) -> bytes:
    """One row for each outcome: which circuit, its parameters as name=value, the outcome and its count.

    Names may be the same, and so may the values of a sweep: only the circuit's place in the document is its own.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("index", "circuit", "parameters", "outcome", "count"))
    for index, ran in enumerate(circuits):
        bound = " ".join(f"{name}={value!r}" for name, value in ran.parameters.items())
        cells = index, _cell(ran.facts.name), _cell(bound)
        rows.writerows((*cells, outcome, count) for outcome, count in ran.counts.items())
    return text.getvalue().encode()


def _cell(text: str) -> str:
    """Text that no spreadsheet takes for a formula: names are chosen by whoever wrote the code."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _queued(run: Run) -> float:
    """Clocks of different machines may disagree by more than a short queue."""
    submitted = datetime.fromisoformat(run.order.submission_time)
    return max(0.0, _seconds((run.started - submitted).total_seconds()))


def _total(run: Run) -> float:
    return _seconds(_queued(run) + (run.ended - run.started).total_seconds())


def _seconds(value: float) -> float:
    return round(value, 6)


def _time(value: datetime) -> str:
    return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
