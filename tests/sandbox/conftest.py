"""A zygote to run code in, and a driver to run it as other users."""

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from sandbox import Outcome, SandboxPolicy, Zygote

Case = dict[str, Any]
Results = dict[str, Any]
Drive = Callable[[list[Case]], Results]
Run = Callable[..., Coroutine[Any, Any, Outcome]]

HERE = Path(__file__).parent
ROOT = HERE.parent.parent

LONG = 60.0
"""Seconds that no test needs."""


@pytest.fixture
def policy(tmp_path: Path) -> SandboxPolicy:
    home = tmp_path / "home"
    home.mkdir()
    return SandboxPolicy(writable=(home,), memory_bytes=256 << 20, cpu_seconds=20)


@pytest.fixture(autouse=True)
def programs_on_the_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))


@pytest.fixture
async def zygote() -> AsyncIterator[Zygote]:
    async with Zygote.start(preload="programs:nothing", entry="programs:run") as started:
        yield started


@pytest.fixture
def run(zygote: Zygote, policy: SandboxPolicy) -> Run:
    """Runs a piece of Python in a child: run(code, policy=..., wall_seconds=..., ...) -> Outcome."""

    async def run(code: str, *, policy: SandboxPolicy = policy, **options: Any) -> Outcome:
        return await zygote.run(code.encode(), policy, **{"wall_seconds": LONG, **options})

    return run


@pytest.fixture(scope="session")
def drive() -> Drive:
    """Runs cases through driver.py in a process of its own: drive(cases) -> {name: result}."""

    def drive(cases: list[Case]) -> Results:
        done = subprocess.run(
            [sys.executable, str(HERE / "driver.py")],
            input=json.dumps(cases),
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert done.returncode == 0, done.stderr
        results: Results = json.loads(done.stdout)
        return results

    return drive
