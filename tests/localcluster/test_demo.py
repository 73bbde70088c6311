"""`make demo`: from nothing to every example finished, with the right counts."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from localcluster.demo_jobs import EXAMPLE_NAMES
from localcluster.versions import fingerprint

pytestmark = pytest.mark.node
ROOT = Path(__file__).parents[2]


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "localcluster", "demo", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=580)


@pytest.mark.timeout(600)
def test_every_example_completes_with_the_right_counts() -> None:
    shown = demo()
    assert shown.returncode == 0, shown.stdout + shown.stderr
    count = len(EXAMPLE_NAMES)
    assert f"{count} of {count} examples completed with the right counts" in shown.stdout
    assert shown.stdout.count("✓") == count
    assert "kubectl apply -f examples/bell.yaml" in shown.stdout.splitlines()[-1]


@pytest.mark.timeout(120)
def test_ctrl_c_ends_the_wait_for_somebody_elses_build(tmp_path: Path) -> None:
    cache = tmp_path / "qiskit-operator" / f"bin-{fingerprint()}"
    cache.mkdir(parents=True)
    nothing_built = {"XDG_CACHE_HOME": str(tmp_path), "PATH": str(tmp_path)}
    environment = {
        key: value for key, value in os.environ.items() if key != "KUBEBUILDER_ASSETS"
    } | nothing_built
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        command = [sys.executable, "-m", "localcluster", "demo", "bell"]
        with subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as waiting:
            try:
                assert waiting.stdout is not None
                assert any("Another process is building" in line for line in waiting.stdout)
                waiting.send_signal(signal.SIGINT)
                assert waiting.wait(60) == 130
            finally:
                waiting.kill()


def test_an_example_that_does_not_exist_is_named() -> None:
    shown = demo("bel")
    assert shown.returncode == 2
    assert "No example bel; there are bell, " in shown.stdout
