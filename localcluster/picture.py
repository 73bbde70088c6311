"""What a console printed, as an SVG that any browser shows: the picture in the README is one."""

from __future__ import annotations

import re
from pathlib import Path

from rich.console import Console

WIDTH = 98
"""Columns. A README is about as wide."""

_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def recorder() -> Console:
    """A console that prints as always and remembers what it printed."""
    return Console(highlight=False, record=True, width=WIDTH, force_terminal=False)


def save(console: Console, path: Path, title: str) -> None:
    """Write what such a console printed. No font is fetched for it: the viewer's own monospaced one does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_FONTS.sub("", console.export_svg(title=title, unique_id="terminal")))
