"""What separates a child from the machine: another user, own process and mount namespaces, private folders.

Used by the keeper, in and after the fork, so it imports nothing but the standard library. Every step that
fails raises OSError, and the child is not started.
"""

from __future__ import annotations

import ctypes
import os
from dataclasses import dataclass, field

from localcluster.standin import stand_in_for

_CLONE_NEWNS = 0x00020000
_CLONE_NEWPID = 0x20000000
_CLONE_NEWUSER = 0x10000000
_MS_NOSUID, _MS_NODEV, _MS_NOEXEC = 0x2, 0x4, 0x8
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 0x40000
_PR_SET_NO_NEW_PRIVS = 38

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Isolation:
    """How far a child is separated.

    `user` is the user id to become, with `group` and the supplementary `groups`; None stays. `namespaces`
    gives it a process namespace, of which it is PID 1 (its end is the end of everything in it), and a mount
    namespace; without root these take a user namespace, in which the user stays who it is. Only with those:
    `hide` lays an empty folder, or the folder it names, over each path, and `expose` keeps what lies below a
    hidden path visible where it was.
    """

    user: int | None = None
    group: int | None = None
    groups: list[int] = field(default_factory=list)
    namespaces: bool = False
    hide: dict[str, str | None] = field(default_factory=dict)
    expose: list[str] = field(default_factory=list)
    no_new_privileges: bool = False

    def fork(self) -> int:
        """Fork; the child is the first process of a new process namespace, if that is asked for."""
        if not self.namespaces or os.geteuid() != 0:
            return os.fork()
        own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _call("unshare", _CLONE_NEWPID)
            pid = os.fork()
            if pid:
                # Or else this process's next child would be put into the same namespace, or be refused.
                _call("setns", own, _CLONE_NEWPID)
            return pid
        finally:
            os.close(own)

    def enter(self) -> None:
        """In the child: carry out the rest. Its parent-death signal is lost when the user changes."""
        if self.namespaces:
            if os.geteuid() != 0:
                _enter_user_namespace()
            self._mount()
        if self.group is not None:
            os.setgroups(self.groups)
            os.setresgid(self.group, self.group, self.group)
        if self.user is not None:
            os.setresuid(self.user, self.user, self.user)
        if self.no_new_privileges:
            _call("prctl", _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)

    def _mount(self) -> None:
        _call("unshare", _CLONE_NEWNS)
        _mount(None, "/", None, _MS_REC | _MS_PRIVATE)
        # Opened beforehand, since one mount may cover what another one needs.
        kept = {path: os.open(path, os.O_PATH) for path in sorted(self.expose)}
        laid = {path: folder and os.open(folder, os.O_PATH) for path, folder in sorted(self.hide.items())}
        for path, source in laid.items():
            if not os.path.isdir(path):
                continue  # it lies below a path that is hidden already
            if source is None:
                _mount("none", path, "tmpfs", _MS_NOSUID | _MS_NODEV, "mode=755,size=1m")
            else:
                _mount(f"/proc/self/fd/{source}", path, None, _MS_BIND)
        for path, handle in kept.items():
            if not _is(path, handle):
                os.makedirs(path, mode=0o755, exist_ok=True)
                _mount(f"/proc/self/fd/{handle}", path, None, _MS_BIND | _MS_REC)
        _mount("proc", "/proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)


def _enter_user_namespace() -> None:
    """Go on as the first process of new user and process namespaces; another one stays behind outside."""
    user, group = os.geteuid(), os.getegid()
    _call("unshare", _CLONE_NEWUSER | _CLONE_NEWPID)
    for file, content in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        with open(f"/proc/self/{file}", "w") as mapping:
            mapping.write(content)
    if pid := os.fork():
        stand_in_for(pid)


def _is(path: str, handle: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(handle))
    except OSError:
        return False


def _mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    encoded = [None if text is None else text.encode() for text in (source, target, kind, data)]
    _call("mount", encoded[0], encoded[1], encoded[2], ctypes.c_ulong(flags), encoded[3])


def _call(name: str, *arguments: object) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
