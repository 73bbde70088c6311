"""Which program of this machine stands for which image."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

DEFAULT_IMAGES: Mapping[str, tuple[str, ...]] = {
    "qiskit-operator/controller:*": (sys.executable, "-m", "controller"),
    "qiskit-operator/executor:*": (sys.executable, "-m", "executor_image.supervisor"),
    "qiskit-operator/validation:*": (sys.executable, "-m", "validation_image"),
}
"""The project's own images. Patterns as in a shell, registries in front left out."""


class Images:
    """A table of image patterns and the command that is each one's entry point."""

    def __init__(self, entries: Mapping[str, Sequence[str]] = DEFAULT_IMAGES) -> None:
        self._entries = {pattern: tuple(command) for pattern, command in entries.items()}

    def entry_point(self, image: str) -> tuple[str, ...] | None:
        """The command for an image reference, or None: then it cannot be pulled here."""
        reference = image if ":" in image.rpartition("/")[2] else f"{image}:latest"
        for pattern, command in self._entries.items():
            if fnmatchcase(reference, pattern) or fnmatchcase(reference, f"*/{pattern}"):
                return command
        return None
