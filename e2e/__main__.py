"""Runs the cluster suite: `python -m e2e [pytest's arguments]`, or `make e2e`.

With $KUBECONFIG set, the suite runs on that cluster, which must be able to pull the images or have them. Without,
a kind cluster is created, the images are built and loaded, and everything is removed at the end.

Two other uses of the same cluster: `--bench [arguments]` installs the operator and measures it (`make bench-cluster`),
`--hold` keeps the cluster for working on the suite until standard input ends.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

from e2e.cluster.isolation import CommandFailed
from e2e.cluster.kind import Cluster, cluster
from e2e.cluster.packages import CannotRunHere
from e2e.cluster.project_images import build_images
from localcluster.progress import to_stderr

SUITE = Path(__file__).parent / "suite"


def main() -> int:
    """Run the suite and return pytest's exit status."""
    if os.environ.get("KUBECONFIG"):
        to_stderr(f"Running on the cluster of {os.environ['KUBECONFIG']}")
        command = _bench() if sys.argv[1:2] == ["--bench"] else _pytest()
        return subprocess.run(command, check=False).returncode
    try:
        with cluster(to_stderr) as running:
            _load_images(running)
            if sys.argv[1:] == ["--hold"]:
                return _hold(running)
            command = running.wrap(_bench() if sys.argv[1:2] == ["--bench"] else _pytest())
            return subprocess.run(command, env=os.environ | _environment(running), check=False).returncode
    except (CannotRunHere, CommandFailed) as error:
        to_stderr(f"error: {error}")
        return 1


def _pytest() -> list[str]:
    return [sys.executable, "-m", "pytest", str(SUITE), "--timeout=600", "--durations=15", *sys.argv[1:]]


def _bench() -> list[str]:
    return [sys.executable, "-m", "bench.real_node", *sys.argv[2:]]


def _environment(running: Cluster) -> dict[str, str]:
    return {
        "KUBECONFIG": str(running.kubeconfig),
        "KUBECTL": str(running.kubectl),
        "NETWORK_POLICIES_ENFORCED": "1" if running.enforces_policies else "",
    }


def _load_images(running: Cluster) -> None:
    archive = build_images(running.isolation, running.kubeconfig.with_name("images.tar"), to_stderr)
    running.load(archive, to_stderr)
    archive.unlink()


def _hold(running: Cluster) -> int:
    assignments = [f"{name}={value}" for name, value in _environment(running).items()]
    to_stderr(f"The cluster is up. To use it: {shlex.join(running.wrap(['env', *assignments]))} COMMAND")
    to_stderr("Enter builds and loads the images again; the end of input (Ctrl-D) removes the cluster.")
    for _ in sys.stdin:
        try:
            _load_images(running)
        except CommandFailed as error:
            to_stderr(f"error: {error}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
