"""Raw system calls and prctl through ctypes: what the standard library does not reach."""

from __future__ import annotations

import ctypes
import os
import platform

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.prctl.restype = ctypes.c_int

MACHINE = platform.machine()
"""`x86_64` or `aarch64` on the machines that the sandbox knows."""


def syscall(number: int, *arguments: int | ctypes.Structure | None) -> int:
    """Make one system call; integers are passed as longs, structures by reference.

    Raises OSError with the kernel's errno.
    """
    passed: list[object] = []
    for argument in arguments:
        if isinstance(argument, int):
            passed.append(ctypes.c_long(argument))
        else:
            passed.append(argument and ctypes.byref(argument))
    result: int = _libc.syscall(ctypes.c_long(number), *passed)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def prctl(option: int, *arguments: int) -> int:
    """Call prctl(2) with missing arguments as 0. Raises OSError with the kernel's errno."""
    padded = [ctypes.c_ulong(a) for a in (*arguments, 0, 0, 0, 0)[:4]]
    result: int = _libc.prctl(ctypes.c_int(option), *padded)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def threads() -> int:
    """How many threads this process has, counted by the kernel."""
    return len(os.listdir("/proc/self/task"))
