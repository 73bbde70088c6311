"""The layer seccomp: the system calls that computing needs are allowed by name, all others fail.

An allow-list, because a deny-list is out of date with the next kernel. What it leaves out on purpose:
- new processes and programs: fork, vfork, clone without CLONE_THREAD, clone3, execve;
- signals to anybody else: kill and tgkill take no PID but the child's own; tkill, rt_sigqueueinfo and
  pidfd_* are out; so are the fcntl commands that have a descriptor signal its owner (F_SETOWN, F_SETSIG);
- the network: socket, connect, bind. socketpair stays for stream pairs only, since a datagram pair can be
  pointed at any Unix socket of the machine with sendto;
- what reads or steers other processes: ptrace, process_vm_*, pidfd_getfd, kcmp, another's limits;
- much attacked kernel surface: io_uring, bpf, perf_event_open, userfaultfd, keyctl, mount, unshare, setns;
- what Landlock does not see: chmod, chown, utime, setxattr, truncate by path, links, memory outside the
  limits (memfd_create, System V shared memory).
"""

from __future__ import annotations

import errno
import os

from sandbox import kernel
from sandbox.bpf import ALLOW, KILL_PROCESS, FilterProgram, Program, Where, fail_with
from sandbox.syscall_numbers import ALLOWED, CONDITIONAL, Numbers

_AUDIT_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_SET_MODE_FILTER = 1
_FLAG_ALL_THREADS = 1

_X32_BIT = 0x40000000
_FIRST_OF_LINUX_5_1 = 424
"""From here on numbers are equal on all architectures and programs expect ENOSYS from older kernels: glibc
falls back from clone3 to clone only on ENOSYS."""

_CLONE_THREAD = 0x00010000
_CLONE_NAMESPACES = 0x7E020000
_FCNTL_COMMANDS = (0, 1, 2, 3, 4, 5, 6, 7, 36, 37, 38, 1030, 1032)  # dup, flags, locks, pipe size
_IOCTL_REQUESTS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # is it a terminal, size, FIO*
_PRCTL_OPTIONS = (3, 15, 16, 0x53564D41)  # GET_DUMPABLE, SET_NAME, GET_NAME, naming a mapping
_SOL_SOCKET, _SOCKET_OPTIONS = 1, (3, 4, 38, 39)  # type, error, protocol, domain: none tells of the peer
_AF_UNIX, _STREAM, _SEQUENCED, _TYPE_MASK = 1, 1, 5, 0xF


def conditions(pid: int) -> dict[str, tuple[Where, ...]]:
    """When each of the `CONDITIONAL` system calls is allowed to the process `pid`."""
    return {
        "clone": (Where(0, (_CLONE_THREAD,), mask=_CLONE_THREAD | _CLONE_NAMESPACES),),
        "kill": (Where(0, (pid,)),),
        "tgkill": (Where(0, (pid,)),),
        "socketpair": (Where(0, (_AF_UNIX,)), Where(1, (_STREAM, _SEQUENCED), mask=_TYPE_MASK)),
        "getsockopt": (Where(1, (_SOL_SOCKET,)), Where(2, _SOCKET_OPTIONS)),
        "prlimit64": (Where(0, (0, pid)), Where(2, (0,)), Where(2, (0,), high_half=True)),
        "prctl": (Where(0, _PRCTL_OPTIONS),),
        "fcntl": (Where(1, _FCNTL_COMMANDS),),
        "ioctl": (Where(1, _IOCTL_REQUESTS),),
        "sched_setaffinity": (Where(0, (0,)),),
    }


def build_filter(machine: str, pid: int) -> Program:
    """The filter for the process `pid` on `x86_64` or `aarch64`. Raises KeyError for another machine."""
    refuse = fail_with(errno.EPERM)
    program = Program()
    program.require_architecture(_AUDIT_ARCHITECTURE[machine])
    if machine == "x86_64":
        program.from_number(_X32_BIT, KILL_PROCESS)
    for numbers in ALLOWED.values():
        number = _number(numbers, machine)
        if number is not None:
            program.on(number, ALLOW)
    for name, where in conditions(pid).items():
        number = _number(CONDITIONAL[name], machine)
        if number is not None:
            program.on_where(number, where, ALLOW, refuse)
    program.from_number(_FIRST_OF_LINUX_5_1, fail_with(errno.ENOSYS))
    program.otherwise(refuse)
    return program


def filter_system_calls() -> None:
    """Install the filter on all threads of this process, for good. Needs no_new_privs.

    Raises OSError where the kernel refuses, or the machine is one that the filter is not written for.
    """
    if kernel.MACHINE not in _SECCOMP:
        raise OSError(errno.ENOSYS, f"no system call table for {kernel.MACHINE}")
    install(build_filter(kernel.MACHINE, os.getpid()))


def install(program: Program) -> None:
    """Put `program` on all threads of this process, for good. Raises OSError where the kernel refuses."""
    kernel.syscall(_SECCOMP[kernel.MACHINE], _SET_MODE_FILTER, _FLAG_ALL_THREADS, FilterProgram(program))


def _number(numbers: Numbers, machine: str) -> int | None:
    return numbers[0] if machine == "x86_64" else numbers[1]
