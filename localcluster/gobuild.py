"""Builds one program from Go modules, whose exact versions the repository's go.mod and go.sum fix."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from localcluster.versions import BUILD_FLAGS, MODULES, Binary

_LINES_OF_AN_ERROR = 20


class BuildFailed(RuntimeError):
    """`go build` failed; the message ends with what it said."""


def build(binary: Binary, go: Path, target: Path) -> None:
    """Build `binary` into the file `target`: static, without debug information. Raises `BuildFailed`."""
    command = [
        str(go),
        "build",
        *BUILD_FLAGS,
        "-ldflags",
        binary.link_flags,
        "-o",
        str(target),
        binary.package,
    ]
    # Workspaces and vendoring of whatever lies around the checkout have no say in this build.
    environment = os.environ | {"CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": ""}
    done = subprocess.run(
        command,
        cwd=MODULES / binary.module,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        last = "\n".join(done.stderr.strip().splitlines()[-_LINES_OF_AN_ERROR:])
        raise BuildFailed(f"go build of {binary.name} ended with {done.returncode}:\n{last}")
