"""An event loop on virtual time that runs ready callbacks in random order (H7).

asyncio runs them first in, first out, which hides errors that depend on the order. Only for code that works
with tasks and futures: asyncio's own transports rely on the order.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import looptime

R = TypeVar("R")


class _Shuffled(deque[Any]):
    def __init__(self, rng: random.Random) -> None:
        super().__init__()
        self._rng = rng

    def popleft(self) -> Any:
        self.rotate(-self._rng.randrange(len(self)))
        return super().popleft()


class ShuffledLoop(looptime.LoopTimeEventLoop, asyncio.SelectorEventLoop):  # type: ignore[misc]
    """Virtual time, random order; the same seed gives the same run."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._ready = _Shuffled(random.Random(seed))


def run_shuffled(seed: int, main: Callable[[random.Random], Coroutine[Any, Any, R]]) -> R:
    """Runs `main(rng)` to its end on a loop of its own."""
    with asyncio.Runner(loop_factory=lambda: ShuffledLoop(seed)) as runner:
        return runner.run(main(random.Random(seed)))
