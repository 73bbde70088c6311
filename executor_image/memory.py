"""How much of the pod's memory a step may use."""

from __future__ import annotations

from pathlib import Path

POD_RESERVED = 192 << 20
"""Bytes of a pod's limit that belong to supervisor (45 MB) and zygote (95 MB), and air for the kernel."""

WORKING = 64 << 20
"""Bytes that a child uses besides the state: the circuit, passes, counts."""

THREAD_STACK = 10 << 20
"""Bytes that each thread of the simulator and of the passes may reserve for its stack."""

LEAST = 64 << 20
"""Bytes that a child gets whatever the limit says; the kernel has the last word."""


def child_bytes(limit: int | None, threads: int) -> int | None:
    """What a child may allocate beyond what it shares with the zygote; `None` in a pod without a limit."""
    return None if limit is None else max(limit - POD_RESERVED, LEAST) + threads * THREAD_STACK


def state_bytes(limit: int | None) -> int:
    """What the simulator's state may take: of the limit, or of what the machine has free now."""
    if limit is None:
        return max(_machine_available() - WORKING, 0)
    return max(limit - POD_RESERVED - WORKING, 0)


def pod_overhead_bytes() -> int:
    """What a pod needs besides the state."""
    return POD_RESERVED + WORKING


def _machine_available() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        name, _, amount = line.partition(":")
        if name == "MemAvailable":
            return int(amount.split()[0]) * 1024
    raise OSError("/proc/meminfo does not tell MemAvailable")
