"""A client for guarded work: it writes nothing once this process cannot be sure of its lease any more.

Cancellation ends guarded work when the lease is lost, but it needs a turn of the event loop. A process that
stood still (SIGSTOP, a paused virtual machine, a long block of the loop) may wake in the middle of a pass; here
its next write is refused before it is sent.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from kube import Client
from reconcilers.result import Retryable

READS = frozenset({"GET", "HEAD"})


class GuardedClient(Client):
    """The same connections as `inner`. `may_act` is asked before each write."""

    def __init__(self, inner: Client, may_act: Callable[[], bool]) -> None:
        self.configuration = inner.configuration
        self._inner = inner
        self._may_act = may_act

    async def raw(self, method: str, path: str, **options: Any) -> bytes:
        """As `kube.Client.raw`, which every verb goes through. Raises Retryable for a write that may not be."""
        if method not in READS and not self._may_act():
            raise Retryable("nothing is written: this process may have lost its lease")
        return await self._inner.raw(method, path, **options)

    @asynccontextmanager
    async def watch(self, *arguments: Any, **options: Any) -> AsyncIterator[AsyncIterator[bytes]]:
        """As `kube.Client.watch`."""
        async with self._inner.watch(*arguments, **options) as lines:
            yield lines
