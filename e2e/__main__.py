"""Runs the cluster suite: `python -m e2e [pytest's arguments]`, or `make e2e`.

With $KUBECONFIG set, the suite runs on that cluster, which must be able to pull the images or have them. Without,
a kind cluster is created, the images are built and loaded, and everything is removed at the end.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from e2e.cluster.isolation import CommandFailed
from e2e.cluster.kind import cluster
from e2e.cluster.packages import CannotRunHere
from e2e.cluster.project_images import build_images
from localcluster.progress import to_stderr

SUITE = Path(__file__).parent / "suite"
NO_TESTS_RAN = 5
"""pytest's exit status when nothing was selected."""


def main() -> int:
    """Run the suite and return pytest's exit status."""
    given = os.environ.get("KUBECONFIG")
    if given:
        to_stderr(f"Running on the cluster of {given}")
        return _pytest([], {})
    try:
        with cluster(to_stderr) as running:
            folder = running.kubeconfig.parent / "images"
            for archive in build_images(running.isolation, folder, to_stderr):
                running.load(archive, to_stderr)
                archive.unlink()
            environment = {"KUBECONFIG": str(running.kubeconfig), "KUBECTL": str(running.kubectl)}
            return _pytest(running.wrap([]), environment)
    except (CannotRunHere, CommandFailed) as error:
        to_stderr(f"error: {error}")
        return 1


def _pytest(prefix: list[str], environment: dict[str, str]) -> int:
    command = [*prefix, sys.executable, "-m", "pytest", str(SUITE), *sys.argv[1:]]
    return subprocess.run(command, env=os.environ | environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
