"""The process that owns a cluster's namespaces and cgroups, and ends both when its parent is gone.

    guardian.py FOLDER

It makes the cgroups, starts `inside.sh` in new namespaces, and waits for the end of its standard input: the
pipe that the starting process holds, closed on purpose or by that process's death, whatever killed it. Then
it kills the first process of the process namespace (with it dies everything inside), removes the cgroups, and
removes FOLDER. FOLDER/lock is held meanwhile: a folder whose lock is free belongs to nobody and may go.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

CONTROLLERS = ("blkio", "cpu", "cpuacct", "cpuset", "devices", "freezer", "memory", "pids", "systemd")
_PR_SET_PDEATHSIG = 1
_SECONDS_TO_EMPTY = 15.0


def cgroup_paths(folder: Path) -> list[Path]:
    """The cluster's cgroup in every hierarchy of this machine, below the caller's own."""
    own = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            own[controller] = path.strip("/")
    mounts = [("name=systemd" if c == "systemd" else c, Path("/sys/fs/cgroup", c)) for c in CONTROLLERS]
    if Path("/sys/fs/cgroup/unified").is_dir():
        mounts.append(("", Path("/sys/fs/cgroup/unified")))
    return [mount / own.get(name, "") / folder.name for name, mount in mounts]


def main() -> None:
    """Hold the namespaces until standard input ends."""
    folder = Path(sys.argv[1])
    # Held before it has its name: nobody can find it free, and take the folder for abandoned.
    lock = (folder / "lock.new").open("w")
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    (folder / "lock.new").rename(folder / "lock")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # A Ctrl-C goes to the whole terminal; the end comes through the pipe, in the parent's own time.
        signal.signal(number, signal.SIG_IGN)
    cgroups = cgroup_paths(folder)
    init: subprocess.Popen[bytes] | None = None
    try:
        for path in cgroups:
            _make(path)
        init = _start(folder, cgroups)
        (folder / "pid").write_text(str(_first_child(init.pid)))
        while os.read(0, 4096):
            pass
    finally:
        if init is not None:
            _end(init)
        _remove(cgroups)
        shutil.rmtree(folder, ignore_errors=True)


def _make(path: Path) -> None:
    path.mkdir(exist_ok=True)
    if "cpuset" in path.parts:
        for name in ("cpuset.cpus", "cpuset.mems"):
            # A new cpuset is empty, and nothing can join it until it has processors and memory.
            (path / name).write_text((path.parent / name).read_text())


def _start(folder: Path, cgroups: list[Path]) -> subprocess.Popen[bytes]:
    def join() -> None:
        for path in cgroups:
            (path / "cgroup.procs").write_text("0")
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)

    namespaces = ["--mount", "--net", "--pid", "--cgroup", "--ipc", "--uts"]
    options = ["--fork", "--kill-child", "--mount-proc", "--propagation", "private"]
    inside = Path(__file__).with_name("inside.sh")
    with (folder / "inside.log").open("wb") as log:
        return subprocess.Popen(
            ["unshare", *namespaces, *options, str(inside), str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=join,
        )


def _first_child(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children")
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if found := children.read_text().split():
            return int(found[0])
        time.sleep(0.01)
    raise TimeoutError("unshare started nothing; see inside.log")


def _end(init: subprocess.Popen[bytes]) -> None:
    try:
        children = Path(f"/proc/{init.pid}/task/{init.pid}/children").read_text().split()
    except FileNotFoundError:
        children = []
    for child in children:
        os.kill(int(child), signal.SIGKILL)
    init.kill()
    init.wait()


def _remove(cgroups: list[Path]) -> None:
    """Remove the cgroups from the leaves up; the kernel takes a moment until the last process has left."""
    deadline = time.monotonic() + _SECONDS_TO_EMPTY
    left = [path for path in cgroups if path.exists()]
    while left and time.monotonic() < deadline:
        for path in left:
            for leaf, _, _ in os.walk(path, topdown=False):
                try:
                    os.rmdir(leaf)
                except OSError:
                    continue
        left = [path for path in left if path.exists()]
        if left:
            time.sleep(0.05)


if __name__ == "__main__":
    main()
