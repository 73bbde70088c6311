"""The namespaces that hold a kind cluster: whatever ends their owner, nothing of them stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from e2e.cluster.guardian import cgroup_paths
from e2e.cluster.isolation import check_machine
from e2e.cluster.packages import CannotRunHere, ensure_packages
from localcluster.progress import silent

OWNER = """
import signal, sys
from e2e.cluster.isolation import isolated
from localcluster.progress import silent
# A shell starts what runs in the background with Ctrl-C ignored, and Python then keeps it so.
signal.signal(signal.SIGINT, signal.default_int_handler)
with isolated(silent) as isolation:
    isolation.run(["sh", "-c", "sleep 1000 >/dev/null 2>&1 &"])
    print(isolation.folder, isolation.pid, flush=True)
    sys.stdin.read()
"""

SECONDS_TO_GO = 30


@pytest.fixture(autouse=True)
def _where_it_can_run() -> None:
    try:
        check_machine()
        ensure_packages(silent)
    except CannotRunHere as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_stays_of_an_owner_that_is_ended_by(number: signal.Signals) -> None:
    mounts = _mounts()
    with _start() as owner:
        folder, pid = _said(owner)
        assert folder.is_dir()
        assert all(path.is_dir() for path in cgroup_paths(folder))
        assert _mounts() == mounts, "the machine sees none of the mounts"
        owner.send_signal(number)
        owner.wait()
    _gone(folder, pid)


def test_nothing_stays_of_an_owner_that_ends_in_peace() -> None:
    with _start() as owner:
        folder, pid = _said(owner)
        owner.communicate("")
    assert owner.returncode == 0
    assert not folder.exists()
    _gone(folder, pid)


def test_two_clusters_live_side_by_side() -> None:
    with _start() as one, _start() as other:
        (folder, pid), (other_folder, other_pid) = _said(one), _said(other)
        one.communicate("")
        _gone(folder, pid)
        assert other_folder.is_dir()
        assert Path(f"/proc/{other_pid}").exists()
        other.communicate("")
        _gone(other_folder, other_pid)


def _start() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", OWNER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def _said(owner: subprocess.Popen[str]) -> tuple[Path, int]:
    assert owner.stdout is not None
    folder, pid = owner.stdout.readline().split()
    return Path(folder), int(pid)


def _gone(folder: Path, pid: int) -> None:
    deadline = time.monotonic() + SECONDS_TO_GO
    left = ["not looked at yet"]
    while left and time.monotonic() < deadline:
        left = [str(path) for path in (folder, *cgroup_paths(folder), Path(f"/proc/{pid}")) if path.exists()]
        time.sleep(0.05)
    assert left == []


def _mounts() -> list[str]:
    return sorted(os.fsdecode(Path("/proc/self/mountinfo").read_bytes()).splitlines())
