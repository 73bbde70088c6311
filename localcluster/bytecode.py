"""Compiles the project's own packages beforehand.

Pods run under a user that cannot write into the checkout; without this each of them would compile the same
modules again at its start.
"""

from __future__ import annotations

import asyncio
import compileall
from pathlib import Path

_ROOT = Path(__file__).parent.parent


async def compile_packages() -> None:
    """Bring the byte code of every package up to date. A checkout that cannot be written to is left as it is."""
    for package in sorted(_ROOT.glob("*/__init__.py")):
        # A thread for each package, since a thread cannot be cancelled: it is over soon.
        await asyncio.to_thread(compileall.compile_dir, package.parent, quiet=2)
