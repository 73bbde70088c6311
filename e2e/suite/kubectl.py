"""kubectl, as the suite's one way into the cluster."""

from __future__ import annotations

import json
import subprocess
from typing import Any


class Kubectl:
    """`kubectl("get", "pods")` returns what was written; an exit status other than 0 raises."""

    def __init__(self, program: str, namespace: str | None = None) -> None:
        self.program = program
        self.namespace = namespace

    def within(self, namespace: str) -> Kubectl:
        """The same for a namespace."""
        return Kubectl(self.program, namespace)

    def __call__(self, *arguments: str, stdin: str | None = None, timeout: float = 120) -> str:
        done = self.run(*arguments, stdin=stdin, timeout=timeout)
        if done.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def run(
        self, *arguments: str, stdin: str | None = None, timeout: float = 120
    ) -> subprocess.CompletedProcess[str]:
        """The finished process, whatever its exit status."""
        return subprocess.run(
            self.command(*arguments),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def command(self, *arguments: str) -> list[str]:
        """The command line, for a process that runs beside the test."""
        place = ["-n", self.namespace] if self.namespace else []
        return [self.program, *place, *arguments]

    def json(self, *arguments: str) -> Any:
        """The objects that `kubectl get` finds."""
        return json.loads(self(*arguments, "-o", "json"))

    def apply(self, *manifests: dict[str, Any]) -> str:
        """Apply objects, in one call."""
        return self("apply", "-f", "-", stdin=_list(manifests))

    def create(self, *manifests: dict[str, Any]) -> subprocess.CompletedProcess[str]:
        """Create objects; the finished process, for a test that expects a refusal."""
        return self.run("create", "-f", "-", stdin=_list(manifests))


def _list(manifests: tuple[dict[str, Any], ...]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifests)})
