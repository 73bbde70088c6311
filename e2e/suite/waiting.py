"""Polling with a deadline: the suite never sleeps for a fixed time to see what has become of something."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(question: Callable[[], T], *, within: float = 60, every: float = 0.5) -> T:
    """Ask until the answer is true, and return it; the last answer is part of the failure."""
    deadline = time.monotonic() + within
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not so within {within} s; last answer: {answer!r}")
        time.sleep(every)
