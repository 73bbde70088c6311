"""Builds one program from Go modules, whose exact versions the repository's go.mod and go.sum fix."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from localcluster.versions import BUILD_FLAGS, MODULES, Binary

_LINES_OF_AN_ERROR = 20


class BuildFailed(RuntimeError):
    """`go build` failed; the message ends with what it said."""


def build(binary: Binary, go: Path, target: Path, *, home: Path) -> None:
    """Build `binary` into the file `target`: static, without debug information. Raises `BuildFailed`.

    `home` is where Go keeps its own caches if this machine's user has no home that can be written.
    """
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
    if not _can_be_written(environment.get("HOME", "")):
        home.mkdir(parents=True, exist_ok=True)
        environment["HOME"] = str(home)
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


def _can_be_written(folder: str) -> bool:
    """Tried out, since not every file system says so beforehand."""
    try:
        with tempfile.TemporaryFile(dir=folder or os.devnull):
            return True
    except OSError:
        return False
