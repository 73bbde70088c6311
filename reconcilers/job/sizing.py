"""What an executor's pod asks of its node: what the spec says, and for the rest what the circuit needs. Pure.

Memory follows the simulation method, not the number of qubits alone: a stabilizer state of a thousand qubits
is small, a state vector of forty does not fit anywhere.
"""

from __future__ import annotations

from decimal import Decimal

from api.quantities import format_memory, parse_memory, parse_quantity
from api.views import CircuitMetadata
from api.views import Resources as ResourcesView
from backends import Resources

MEBIBYTE = 1 << 20

PROCESS_MEMORY = 96 * MEBIBYTE
"""What a process with Qiskit and Aer holds before it simulates anything (95-102 MB measured): with less than
this and the state itself a run cannot succeed."""

EXECUTOR_MEMORY = 192 * MEBIBYTE
"""What an executor needs beside the circuit's state: supervisor, zygote, and what the child writes to."""

LEAST_REQUEST = 256 * MEBIBYTE
LEAST_LIMIT = 512 * MEBIBYTE
"""Small circuits run in this; user code may hold some arrays of its own."""

STATE_MARGIN = Decimal("1.1")
"""Of a simulated state: measured peaks are the state and little more (25 qubits: 614 MB for 512 MiB)."""

LARGEST_MACHINE = 64 << 40
"""Bytes of memory that no machine has: a circuit that needs more is refused instead of left unschedulable."""

LARGE_STATE = 1 << 30
"""Bytes of a state from which it is a likely reason that no node has room."""

GRAIN = 64 * MEBIBYTE

WIDE = 20
"""Qubits from which a second CPU shortens a run noticeably (20 qubits, depth 10: 0.37 s to 0.21 s)."""


def size(own: ResourcesView, backend: ResourcesView, circuit: CircuitMetadata | None) -> Resources:
    """The pod's resources: what the job says, else what its backend says, else what the circuit needs.

    CPU and memory are looked at one by one. A request without a limit gets a limit that holds both.
    """
    requests: dict[str, str] = {}
    limits: dict[str, str] = {}
    for name in sorted({*own.requests, *own.limits, *backend.requests, *backend.limits, "cpu", "memory"}):
        given = own if name in own.requests or name in own.limits else backend
        request, limit = given.requests.get(name), given.limits.get(name)
        if name in ("cpu", "memory"):
            derived_request, derived_limit = _derived(name, circuit)
            if request is None and limit is None:
                request = derived_request
            limit = limit if limit is not None else _larger(request, derived_limit)
        if request is not None:
            requests[name] = str(request)
        if limit is not None:
            limits[name] = str(limit)
    return Resources(requests=requests, limits=limits)


def large_state(circuit: CircuitMetadata | None) -> str | None:
    """What the circuit's state takes, for whoever wonders why no node has room; None for a state of no account."""
    if circuit is None or circuit.memory_bytes is None or circuit.memory_bytes < LARGE_STATE:
        return None
    need = format_memory(_round_up(circuit.memory_bytes))
    return f"{_needs(circuit)} {need} of memory; another spec.execution.method or fewer qubits may need less"


def shortage(resources: Resources, circuit: CircuitMetadata | None) -> str | None:
    """What is wrong if the memory limit cannot hold the circuit's state; None if it may do."""
    limit = resources.limits.get("memory")
    if circuit is None or circuit.memory_bytes is None or limit is None:
        return None
    needs = _needs(circuit)
    if circuit.memory_bytes > LARGEST_MACHINE:
        return (
            f"{needs} more memory than any machine has: choose another spec.execution.method, or fewer qubits"
        )
    least = circuit.memory_bytes + PROCESS_MEMORY
    try:
        if parse_memory(limit) >= least:
            return None
    except ValueError:
        return f"spec.resources.limits.memory {limit!r} is not a quantity"
    odd = " (m is a thousandth of a byte, Mi a mebibyte)" if str(limit).endswith("m") else ""
    return (
        f"{needs} at least {format_memory(_round_up(least))}, and the memory limit is {limit}{odd}: raise "
        "spec.resources.limits.memory, or choose another spec.execution.method"
    )


def _needs(circuit: CircuitMetadata) -> str:
    if circuit.qubits == 1:
        return f"1 qubit with method {circuit.method} needs"
    return f"{circuit.qubits} qubits with method {circuit.method} need"


def _derived(name: str, circuit: CircuitMetadata | None) -> tuple[str, str]:
    if name == "cpu":
        return ("1", "2") if circuit is not None and (circuit.qubits or 0) >= WIDE else ("250m", "1")
    state = circuit.memory_bytes if circuit is not None and circuit.memory_bytes is not None else 0
    state = min(max(state, 0), LARGEST_MACHINE)
    need = _round_up(EXECUTOR_MEMORY + int(state * STATE_MARGIN))
    return format_memory(max(LEAST_REQUEST, need)), format_memory(max(LEAST_LIMIT, need))


def _larger(request: str | int | None, limit: str) -> str:
    if request is None:
        return limit
    try:
        return str(request) if parse_quantity(request) > parse_quantity(limit) else limit
    except ValueError:
        return limit


def _round_up(size_bytes: int) -> int:
    return -(-size_bytes // GRAIN) * GRAIN
