"""Work that is ended in order as soon as it is asked to, however far it has come."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


async def run_until(work: Coroutine[Any, Any, None], stop: asyncio.Event) -> None:
    """Run `work`, and cancel it once `stop` is set. Returns when it has cleaned up; raises what it raises."""
    working = asyncio.create_task(work)
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        # Once and no more: a second one would cut its cleaning up short.
        working.cancel()
        await asyncio.wait({working})
    if not working.cancelled():
        working.result()
