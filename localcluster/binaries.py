"""Finds the control plane's programs: $KUBEBUILDER_ASSETS, the PATH, the cache, or a build from Go modules.

A program found outside the cache counts only if it reports an accepted version. The cache lies outside the
checkout and is named after the module files and flags, so another version never meets an old program.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from localcluster.gobuild import build
from localcluster.gotoolchain import find_go
from localcluster.progress import SECONDS_BETWEEN_LINES, Report, silent, step
from localcluster.versions import CONTROL_PLANE, Binary, fingerprint


class CacheUnusable(RuntimeError):
    """The cache cannot be written to; the message says what can be done."""


def cache_root() -> Path:
    """The folder that everything is cached in: `$XDG_CACHE_HOME/qiskit-operator`."""
    base = os.environ.get("XDG_CACHE_HOME") or _home() / ".cache"
    return Path(base) / "qiskit-operator"


def _home() -> Path:
    """As `Path.home()`, for which an empty $HOME is the root folder."""
    try:
        return Path(os.environ.get("HOME") or pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        raise CacheUnusable(
            "There is no $HOME; set XDG_CACHE_HOME to a folder that can be written."
        ) from None


def ensure_binaries(
    wanted: Iterable[Binary] = CONTROL_PLANE, report: Report = silent, root: Path | None = None
) -> dict[str, Path]:
    """Where each wanted program lies, by name; builds what is nowhere, which can take minutes the first time.

    Raises `BuildFailed`, `NoToolchain` or `CacheUnusable`. Blocks: call it from a thread in asynchronous code.
    """
    root = root or cache_root()
    cache = root / f"bin-{fingerprint()}"
    wanted = tuple(wanted)
    found = {binary.name: _installed(binary) or _cached(binary, cache) for binary in wanted}
    missing = [binary for binary in wanted if found[binary.name] is None]
    if missing:
        with _lock_file(cache) as lock, _alone(lock, report):
            # Whoever held the lock before may have built the same programs.
            missing = [binary for binary in missing if _cached(binary, cache) is None]
            _build_all(missing, cache, root, report)
    return {binary.name: found[binary.name] or cache / binary.name for binary in wanted}


def _installed(binary: Binary) -> Path | None:
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    candidates = [Path(assets) / binary.name] if assets else []
    if on_path := shutil.which(binary.name):
        candidates.append(Path(on_path))
    return next((path for path in candidates if _accepted(binary, path)), None)


def _accepted(binary: Binary, path: Path) -> bool:
    if not os.access(path, os.X_OK):
        return False
    question = ["version", "--client"] if binary.name == "kubectl" else ["--version"]
    try:
        said = subprocess.run([path, *question], capture_output=True, text=True, check=False, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return f" {binary.accepted}" in said.stdout


def _cached(binary: Binary, cache: Path) -> Path | None:
    path = cache / binary.name
    return path if os.access(path, os.X_OK) else None


def _build_all(binaries: list[Binary], cache: Path, root: Path, report: Report) -> None:
    if not binaries:
        return
    go = find_go(root, report)
    for number, binary in enumerate(binaries, 1):
        with step(report, f"Building {binary.name} from its Go module ({number} of {len(binaries)})"):
            unfinished = cache / f".{binary.name}.unfinished"
            build(binary, go, unfinished, home=root / "go-home")
            # The name appears only when the file is whole, so an interrupted build leaves nothing usable.
            unfinished.replace(cache / binary.name)


def _lock_file(cache: Path) -> IO[str]:
    try:
        cache.mkdir(parents=True, exist_ok=True)
        return (cache / ".lock").open("w")
    except OSError as error:
        raise CacheUnusable(
            f"Cannot write to {cache} ({error.strerror}); set XDG_CACHE_HOME to a folder that can be written."
        ) from error


@contextmanager
def _alone(lock: IO[str], report: Report) -> Iterator[None]:
    """Hold a lock between processes, saying every few seconds what is being waited for."""
    since = time.monotonic()
    said = 0.0
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            waited = time.monotonic() - since
            if waited >= said:
                report(f"Another process is building the same programs; waiting ({waited:.0f} s) ...")
                said = waited + SECONDS_BETWEEN_LINES
            time.sleep(0.2)
    yield
