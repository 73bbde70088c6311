"""The layer rlimits: bounds that the kernel keeps, set as hard limits so that the child cannot lift them.

RLIMIT_NPROC is left alone on purpose: it counts per user ID across all pods of a node, so that a
neighbour's processes would use up the child's. The seccomp layer bounds processes instead, and the pod's
pids limit bounds threads.
"""

from __future__ import annotations

import resource
from pathlib import Path

from sandbox.policy import SandboxPolicy

ADDRESS_SLACK_BYTES = 256 << 20
"""Address space beyond `memory_bytes` for reservations that hold no memory (thread arenas, guard pages).

RLIMIT_DATA is the exact bound for honest programs. A hostile one can make filled pages read-only, which takes
them out of that count; RLIMIT_AS then stops it at most this much later. Leave this much room in the pod."""

CPU_GRACE_SECONDS = 1
"""Between SIGXCPU, which a program may catch, and the SIGKILL that follows."""


def apply_rlimits(policy: SandboxPolicy) -> None:
    """Set every bound of `policy` on this process. Raises OSError or ValueError where the kernel refuses."""
    _bound(resource.RLIMIT_CORE, 0)
    _bound(resource.RLIMIT_FSIZE, policy.file_size_bytes)
    _bound(resource.RLIMIT_NOFILE, policy.open_files)
    if policy.cpu_seconds is not None:
        _bound(resource.RLIMIT_CPU, policy.cpu_seconds, policy.cpu_seconds + CPU_GRACE_SECONDS)
    if policy.memory_bytes is not None:
        pages = [int(field) for field in Path("/proc/self/statm").read_text().split()]
        page = resource.getpagesize()
        address_space, data = pages[0] * page, pages[5] * page
        _bound(resource.RLIMIT_DATA, data + policy.memory_bytes)
        _bound(resource.RLIMIT_AS, address_space + policy.memory_bytes + ADDRESS_SLACK_BYTES)


def _bound(kind: int, soft: int, hard: int | None = None) -> None:
    """Lower a limit, never raise it: a stricter limit that was inherited stays."""
    wanted = (soft, soft if hard is None else hard)
    current = resource.getrlimit(kind)
    lowest = [w if c == resource.RLIM_INFINITY else min(w, c) for w, c in zip(wanted, current, strict=True)]
    resource.setrlimit(kind, (min(lowest), lowest[1]))
