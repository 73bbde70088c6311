"""Writing a result to a volume so that a file there is either complete or absent."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

RESULT_FILE = "results.json"


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write `files` by name into `folder`; when this returns, they survive a power cut.

    The result document goes last: whoever sees it finds the others. Raises OSError where the volume is
    full, read-only or gone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in sorted(files, key=lambda name: name == RESULT_FILE):
        _write(folder / name, files[name])
    _sync(folder)


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as target:
        target.write(content)
        target.flush()
        os.fsync(target.fileno())
    partial.replace(path)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
