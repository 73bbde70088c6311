"""Where a container's mount paths lie on this machine, and paths in text rewritten accordingly."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


class Mounts:
    """A container's mount paths and the folders or files that stand for them."""

    def __init__(self, places: Mapping[str, Path]) -> None:
        # Longest first: of two nested mounts the inner one counts.
        self._places = sorted(
            ((path.rstrip("/") or "/", place) for path, place in places.items()),
            key=lambda item: len(item[0]),
            reverse=True,
        )

    def and_also(self, path: str, place: Path) -> Mounts:
        """The same mounts and one more."""
        return Mounts(dict(self._places) | {path: place})

    def rewrite(self, text: str) -> str:
        """`text` with its beginning replaced if that is a mounted path; anything else unchanged."""
        for path, place in self._places:
            if text == path:
                return str(place)
            if text.startswith(path.rstrip("/") + "/"):
                return f"{place}/{text[len(path) :].lstrip('/')}"
        return text

    def place(self, path: str) -> Path | None:
        """What stands for exactly this mount path."""
        return next((place for mounted, place in self._places if mounted == path.rstrip("/")), None)
