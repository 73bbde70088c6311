"""The layer no_new_privs, and what else a process can say about itself through prctl."""

from __future__ import annotations

import ctypes
import os
import signal

from sandbox import kernel

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_CAPSET = {"x86_64": 126, "aarch64": 91}
_CAPABILITY_VERSION_3 = 0x20080522
_EINVAL = 22
_EPERM = 1


class _CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _CapabilitySets(ctypes.Structure):
    """Two 32-bit halves of (effective, permitted, inheritable), as capset(2) wants them."""

    _fields_ = (("halves", ctypes.c_uint32 * 6),)


def give_up_privileges() -> None:
    """Set no_new_privs and drop every capability, for good. Raises OSError where the kernel refuses.

    In a pod there is nothing left to drop. On a machine where the node runs as root, a capability would
    let the child lift its own limits.
    """
    kernel.prctl(_PR_SET_NO_NEW_PRIVS, 1)
    for capability in range(64):
        try:
            kernel.prctl(_PR_CAPBSET_DROP, capability)
        except OSError as error:
            if error.errno == _EINVAL:  # past the last capability that this kernel knows
                break
            if error.errno != _EPERM:  # without CAP_SETPCAP: there is no capability to bound either
                raise
            break
    header = _CapabilityHeader(_CAPABILITY_VERSION_3, 0)
    kernel.syscall(_CAPSET[kernel.MACHINE], header, _CapabilitySets())


def hide_memory() -> None:
    """Make this process non-dumpable: no core file, and no other process of its UID reads its memory.

    Children inherit it. A supervisor calls this before it reads a token, the zygote before it forks.
    """
    kernel.prctl(_PR_SET_DUMPABLE, 0)


def die_with_parent(parent: int) -> None:
    """Be killed when the thread that started this process ends; end now if that has already happened."""
    kernel.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
