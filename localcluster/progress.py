"""How long work says where it is: when a step begins, every few seconds while it lasts, and at its end."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SECONDS_BETWEEN_LINES = 5.0

Report = Callable[[str], None]
"""Takes one line of text meant for a person."""


def to_stderr(line: str) -> None:
    """Write the line to stderr at once."""
    print(line, file=sys.stderr, flush=True)


def silent(line: str) -> None:
    """Say nothing."""


@contextmanager
def step(report: Report, what: str, *, interval: float = SECONDS_BETWEEN_LINES) -> Iterator[None]:
    """Report `what` now, again with the elapsed time every `interval` seconds, and once more when done."""
    started = time.monotonic()
    over = threading.Event()

    def tick() -> None:
        while not over.wait(interval):
            report(f"{what} ... {_clock(time.monotonic() - started)}")

    report(f"{what} ...")
    ticker = threading.Thread(target=tick, name="progress", daemon=True)
    ticker.start()
    try:
        yield
    finally:
        over.set()
        ticker.join()
    report(f"{what}: {_clock(time.monotonic() - started)}")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02d} min" if minutes else f"{seconds:.1f} s"
