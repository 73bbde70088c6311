"""The layer landlock: which files a child reaches at all, by raw system calls (no library is needed).

Rights that a younger kernel adds are asked for only where it has them. What an older one lacks is covered
by the seccomp layer (no TCP, no signals, no truncate by path), so that ABI 1 (Linux 5.13) is enough.
"""

from __future__ import annotations

import ctypes
import os
import stat
import sys
from collections.abc import Iterable
from pathlib import Path

from sandbox import kernel

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1

_WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE = 1 << 4, 1 << 5
_MAKE_DIR, _MAKE_REGULAR = 1 << 7, 1 << 8
_REFER, _TRUNCATE, _IOCTL_DEVICE = 1 << 13, 1 << 14, 1 << 15

_ALL_OF_ABI_1 = (1 << 13) - 1
_NETWORK_TCP = 0b11  # bind and connect
_SCOPE_SOCKETS_AND_SIGNALS = 0b11

_READ = _READ_FILE | _READ_DIR
_WRITE = _READ | _WRITE_FILE | _TRUNCATE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REGULAR | _REFER
_OF_A_FILE = _READ_FILE | _WRITE_FILE | _TRUNCATE | _IOCTL_DEVICE

_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache")
_CLOCK = ("/etc/localtime", "/usr/share/zoneinfo")
_RANDOMNESS = ("/dev/urandom", "/dev/random")


class _RulesetAttributes(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def landlock_abi() -> int:
    """The kernel's Landlock version. Raises OSError where Landlock is not built in or not switched on."""
    return kernel.syscall(_CREATE_RULESET, None, 0, _CREATE_RULESET_VERSION)


def restrict_files(readable: Iterable[Path], writable: Iterable[Path]) -> None:
    """Leave this thread with `readable`, `writable` and /dev/null, for good. Call it with one thread.

    Paths that do not exist are left out. Raises OSError where the kernel refuses.
    """
    abi = landlock_abi()
    handled = _ALL_OF_ABI_1
    handled |= _REFER if abi >= 2 else 0
    handled |= _TRUNCATE if abi >= 3 else 0
    handled |= _IOCTL_DEVICE if abi >= 5 else 0
    attributes = _RulesetAttributes(handled, _NETWORK_TCP, _SCOPE_SOCKETS_AND_SIGNALS)
    known_size = 24 if abi >= 6 else 16 if abi >= 4 else 8
    ruleset = kernel.syscall(_CREATE_RULESET, attributes, known_size, 0)
    try:
        for path in readable:
            _allow(ruleset, path, _READ & handled)
        for path in (*writable, Path("/dev/null")):
            _allow(ruleset, path, _WRITE & handled)
        kernel.syscall(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: Path, rights: int) -> None:
    try:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):
        return  # nobody can open beneath it either
    try:
        if not stat.S_ISDIR(os.fstat(parent).st_mode):
            rights &= _OF_A_FILE
        rule = _PathBeneath(rights, parent)
        kernel.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, rule, 0)
    finally:
        os.close(parent)


def python_files() -> tuple[Path, ...]:
    """What this interpreter needs to go on: its prefixes, shared libraries, and the packages it has loaded.

    A package outside the prefixes (a checkout, a folder in the image) is named by its own folder, never
    by the folder on `sys.path` that holds it: other things lie there that are no Python.
    """
    roots = {Path(path) for path in (*_LIBRARIES, *_CLOCK, *_RANDOMNESS)}
    prefixes = {Path(p) for p in (sys.prefix, sys.exec_prefix, sys.base_prefix, sys.base_exec_prefix)}
    # A prefix of /usr or / would open far more than Python; its libraries are in the list above.
    roots |= {prefix for prefix in prefixes if prefix not in (Path("/usr"), Path("/"))}
    for name, module in tuple(sys.modules.items()):
        if "." in name:
            continue
        folders = [Path(entry) for entry in getattr(module, "__path__", ())]
        file = getattr(module, "__file__", None)
        for path in folders or ([Path(file)] if file else []):
            if not any(path.is_relative_to(root) for root in roots):
                roots.add(path)
    return tuple(sorted(roots))
