"""What every test of the cluster suite starts from: kubectl, an installed operator, a namespace of its own."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
OVERLAY = ROOT / "deploy/overlays/default"
OPERATOR = "qiskit-operator"


class Kubectl:
    """`kubectl("get", "pods")` returns what was written; an exit status other than 0 raises."""

    def __init__(self, program: str, namespace: str | None = None) -> None:
        self._program = program
        self.namespace = namespace

    def within(self, namespace: str) -> Kubectl:
        """The same for a namespace."""
        return Kubectl(self._program, namespace)

    def __call__(self, *arguments: str, stdin: str | None = None, timeout: float = 120) -> str:
        done = self.run(*arguments, stdin=stdin, timeout=timeout)
        if done.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def run(
        self, *arguments: str, stdin: str | None = None, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """The finished process, whatever its exit status."""
        place = ["-n", self.namespace] if self.namespace else []
        return subprocess.run(
            [self._program, *place, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def json(self, *arguments: str) -> Any:
        """The objects that `kubectl get` finds."""
        return json.loads(self(*arguments, "-o", "json"))

    def apply(self, manifest: dict[str, Any] | str) -> str:
        """Apply an object, or the text of a manifest."""
        text = manifest if isinstance(manifest, str) else json.dumps(manifest)
        return self("apply", "-f", "-", stdin=text)


@pytest.fixture(scope="session")
def cluster() -> Kubectl:
    """kubectl with the rights of the kubeconfig, in no particular namespace."""
    program = os.environ.get("KUBECTL") or shutil.which("kubectl")
    assert program, "kubectl is not on the PATH"
    return Kubectl(program)


@pytest.fixture(scope="session")
def operator(cluster: Kubectl) -> Kubectl:
    """The operator, installed by the one documented command and ready; kubectl in its namespace."""
    cluster("apply", "--server-side", "-k", str(OVERLAY))
    own = cluster.within(OPERATOR)
    own("wait", "deployment", "--all", "--for=condition=Available", "--timeout=180s", timeout=200)
    return own


@pytest.fixture
def kubectl(operator: Kubectl, cluster: Kubectl) -> Iterator[Kubectl]:
    """kubectl in a fresh namespace that goes at the end of the test."""
    name = f"e2e-{secrets.token_hex(4)}"
    cluster("create", "namespace", name)
    yield cluster.within(name)
    cluster("delete", "namespace", name, "--wait=false")


def eventually(question: Callable[[], Any], *, within: float = 60, every: float = 0.25) -> Any:
    """Ask until the answer is true, and return it; the last answer is part of the failure."""
    deadline = time.monotonic() + within
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not so within {within} s; last answer: {answer!r}")
        time.sleep(every)
