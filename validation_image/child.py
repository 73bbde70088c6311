"""What runs in the sandbox: `preload` once in the zygote, `run` in every child."""

from __future__ import annotations

import msgspec

from messages.validation import ValidateRequest, ValidateResponse, Verdict
from sandbox import Channel
from validation_image.tasks import Build, Checkout, Task, encode

FAILED = "ValidationFailed"

_QASM2 = b'OPENQASM 2.0;include "qelib1.inc";qreg q[1];creg c[1];h q[0];measure q[0]->c[0];'
_QASM3 = b'OPENQASM 3.0;include "stdgates.inc";qubit[1] q;bit[1] c;h q[0];c[0]=measure q[0];'
_PYTHON = b"from qiskit import QuantumCircuit\nqc = QuantumCircuit(1)\nqc.h(0)\nqc.measure_all()\n"


def preload() -> None:
    """Import what children need, and parse one circuit of each language: the parsers fill tables as they go.

    No pass and no simulation: they would start threads, and a process with threads cannot be forked.
    """
    import validation_image.checkout  # noqa: F401 - dulwich
    from validation_image.build import build_circuits

    for source in (_QASM2, _QASM3, _PYTHON):
        build_circuits(ValidateRequest(source=source))


def run(payload: bytes, channel: Channel) -> None:
    """Do one task and send what came of it."""
    task = msgspec.msgpack.decode(payload, type=Task)
    if isinstance(task, Build):
        channel(encode(_build(task.request)))
    elif isinstance(task, Checkout):
        from validation_image.checkout import check_out

        channel(encode(check_out(task, channel.ask)))


def _build(request: ValidateRequest) -> ValidateResponse:
    from validation_image.build import build_circuits

    try:
        return build_circuits(request)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - a fault of ours must not read as one of the circuit
        message = f"the validator failed: {type(error).__name__}: {error}"[:500]
        return ValidateResponse(verdict=Verdict.UNKNOWN, valid=False, reason=FAILED, message=message)
