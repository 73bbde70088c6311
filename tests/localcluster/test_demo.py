"""`make demo`: from nothing to every example finished, with the right counts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from localcluster.demo_jobs import EXAMPLE_NAMES

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


def test_an_example_that_does_not_exist_is_named() -> None:
    shown = demo("bel")
    assert shown.returncode == 2
    assert "No example bel; there are bell, " in shown.stdout
