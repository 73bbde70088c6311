"""The process that owns a cluster's child processes, and outlives its parent just long enough to end them.

It is started by `localcluster.keeping` and speaks JSON lines: orders on stdin, events on stdout.

    {"op": "start", "id": 1, "argv": [...], "env": {...}, "cwd": "...", "log": "...", ...}   see `_Launch`
    {"op": "signal", "id": 1, "signal": 15}
    → {"event": "started", "id": 1, "pid": 42} · {"event": "failed", "id": 1, "error": "..."}
    → {"event": "exited", "id": 1, "status": 9}         a wait status, as os.waitstatus_to_exitcode takes it

Once stdin ends, or the parent is gone by whatever signal, it kills every child, removes the folders and
files that it was given, and exits. Should it be killed itself, the kernel kills the children
(PR_SET_PDEATHSIG). It is single-threaded and imports nothing but the standard library: a fork is cheap.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import selectors
import shutil
import signal
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from localcluster.isolation import Isolation

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_HANDLED = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass
class _Launch:
    """How to start one child; its output goes to the end of `log`. `isolation` as `Isolation` takes it."""

    id: int
    argv: list[str]
    env: dict[str, str]
    cwd: str
    log: str
    isolation: dict[str, Any] | None = None


@dataclass
class _Keeper:
    parent: int
    remove: list[str]
    """Folders and files that end with it."""
    children: dict[int, int] = field(default_factory=dict)
    """Process id of every child that has not been waited for, to its launch id."""

    def run(self) -> None:
        woken, wake = os.pipe()
        os.set_blocking(wake, False)
        signal.set_wakeup_fd(wake)
        for number in _HANDLED:
            # A handler has to exist for the wake-up descriptor to be written to.
            signal.signal(number, lambda *_: None)
        with selectors.DefaultSelector() as selector:
            selector.register(0, selectors.EVENT_READ, "orders")
            selector.register(woken, selectors.EVENT_READ, "signals")
            selector.register(os.pidfd_open(self.parent), selectors.EVENT_READ, "parent")
            if os.getppid() != self.parent:
                return
            pending = b""
            while True:
                ready = {key.data for key, _ in selector.select()}
                if "signals" in ready:
                    numbers = os.read(woken, 4096)
                    if signal.SIGTERM in numbers:
                        return
                    self.reap()
                if "parent" in ready:
                    return
                if "orders" in ready:
                    read = os.read(0, 1 << 16)
                    if not read:
                        return
                    *lines, pending = (pending + read).split(b"\n")
                    for line in lines:
                        self.obey(json.loads(line))

    def obey(self, order: dict[str, Any]) -> None:
        op = order.pop("op")
        if op == "start":
            launch = _Launch(**order)
            try:
                pid = _spawn(launch)
            except OSError as error:
                _tell(event="failed", id=launch.id, error=str(error))
            else:
                self.children[pid] = launch.id
                _tell(event="started", id=launch.id, pid=pid)
        elif op == "signal":
            # Only children that were not waited for are signalled, so no number can have been reused.
            for pid in [pid for pid, launch in self.children.items() if launch == order["id"]]:
                _signal(pid, order["signal"], group=order.get("group", False))

    def reap(self) -> None:
        while True:
            try:
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if ended is None:
                return
            pid = ended.si_pid
            if pid in self.children:
                # Its group goes with it; before the wait, while the number cannot have been reused.
                _signal(pid, signal.SIGKILL, group=True)
            _, status = os.waitpid(pid, 0)
            if pid in self.children:
                _tell(event="exited", id=self.children.pop(pid), status=status)

    def end(self) -> None:
        for pid in reversed(self.children):
            _signal(pid, signal.SIGKILL, group=True)
            _signal(pid, signal.SIGKILL)
        while True:
            # Orphans of children come here too (the keeper is a subreaper), and are ended like them: those of
            # children that ended long ago are here already, others come as their parents end.
            for orphan in _own_children():
                _signal(orphan, signal.SIGKILL)
            try:
                pid, _ = os.waitpid(-1, 0)
            except ChildProcessError:
                break
            self.children.pop(pid, None)
        remove_paths(self.remove)


def remove_paths(paths: Iterable[str | os.PathLike[str]]) -> None:
    """Remove folders and files, as far as they are there and can be removed."""
    for path in paths:
        shutil.rmtree(path, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.unlink(path)


def _own_children() -> list[int]:
    try:
        with open(f"/proc/self/task/{os.getpid()}/children") as file:
            return [int(pid) for pid in file.read().split()]
    except OSError:
        return []


def _signal(pid: int, number: int, *, group: bool = False) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, number) if group else os.kill(pid, number)


def _tell(**event: Any) -> None:
    with contextlib.suppress(BrokenPipeError):
        os.write(1, json.dumps(event).encode() + b"\n")


def _spawn(launch: _Launch) -> int:
    """Fork and exec. An error before the exec comes back through a pipe and is raised here as OSError."""
    failure, told = os.pipe()
    isolation = None if launch.isolation is None else Isolation(**launch.isolation)
    pid = os.fork() if isolation is None else isolation.fork()
    if pid:
        os.close(told)
        with os.fdopen(failure) as file:
            error = file.read()
        if error:
            os.waitpid(pid, 0)
            raise OSError(error)
        return pid
    try:
        _become(launch, isolation)
    except BaseException as error:  # noqa: BLE001 - this is the forked child: whatever happens, it must not return
        os.write(told, str(error).encode())
    finally:
        os._exit(127)


def _become(launch: _Launch, isolation: Isolation | None) -> None:
    signal.set_wakeup_fd(-1)
    os.setsid()
    log = os.open(launch.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    if isolation is not None:
        isolation.enter()
    # After the change of user, at which the kernel forgets it.
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    os.chdir(launch.cwd)
    for number in (*_HANDLED, signal.SIGPIPE):
        signal.signal(number, signal.SIG_DFL)
    os.execvpe(launch.argv[0], launch.argv, launch.env)  # noqa: S606 - the point of this module


def main() -> None:
    """`keeper.py PARENT_PID [PATH_TO_REMOVE ...]`."""
    keeper = _Keeper(int(sys.argv[1]), sys.argv[2:])
    # What children and mount points get must not depend on the umask of whoever started the cluster.
    os.umask(0o022)
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        keeper.run()
    finally:
        keeper.end()


if __name__ == "__main__":
    main()
