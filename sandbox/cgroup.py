"""Whether the kernel's out-of-memory killer has struck in this container."""

from __future__ import annotations

from pathlib import Path

_COUNTERS = (Path("/sys/fs/cgroup/memory.events"), Path("/sys/fs/cgroup/memory/memory.oom_control"))


def out_of_memory_kills() -> int:
    """How many processes of this container's cgroup it has killed so far; 0 where no counter can be read."""
    for counter in _COUNTERS:
        try:
            lines = counter.read_text().splitlines()
        except OSError:
            continue
        for line in lines:
            name, _, count = line.partition(" ")
            if name == "oom_kill":
                return int(count)
    return 0
