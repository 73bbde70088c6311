"""How much memory a process and all its descendants use, as a container's limit would count it."""

from __future__ import annotations

import os
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")


def exceeds(pid: int, limit: int) -> bool:
    """Whether the tree below `pid` uses more than `limit` bytes.

    Resident sizes are cheap to read but count shared pages once for each process, which is wrong by
    hundreds of megabytes where processes are forked. So only a tree whose plain sum is over the limit is
    looked at again with the kernel's proportional sizes.
    """
    tree = descendants(pid)
    if sum(_resident(each) for each in tree) <= limit:
        return False
    return sum(_proportional(each) for each in tree) > limit


def descendants(pid: int) -> list[int]:
    """`pid` and every process below it."""
    found = [pid]
    for parent in found:
        try:
            threads = os.listdir(f"/proc/{parent}/task")
        except OSError:
            continue
        for thread in threads:
            children = _read(Path(f"/proc/{parent}/task/{thread}/children"))
            found += [int(child) for child in children.split()]
    return found


def _resident(pid: int) -> int:
    fields = _read(Path(f"/proc/{pid}/statm")).split()
    return int(fields[1]) * _PAGE if fields else 0


def _proportional(pid: int) -> int:
    for line in _read(Path(f"/proc/{pid}/smaps_rollup")).splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0


def _read(path: Path) -> str:
    """The file's text; empty once its process is gone."""
    try:
        return path.read_text()
    except OSError:
        return ""
