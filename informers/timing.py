"""Where this package meets time: clocks and sleeps are parameters everywhere else.

The defaults follow the running event loop, whose time is monotonic and which tests can make virtual.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

Clock = Callable[[], float]
"""Seconds on a monotonic clock with an arbitrary zero."""

Sleep = Callable[[float], Awaitable[None]]
"""Waits that many seconds."""


def loop_clock() -> float:
    """The running loop's time in seconds."""
    return asyncio.get_running_loop().time()


async def loop_sleep(seconds: float) -> None:
    """Waits that many seconds of the running loop's time."""
    await asyncio.sleep(seconds)


async def let_others_run() -> None:
    """Gives every other ready task one turn."""
    await asyncio.sleep(0)
