"""The parent's ends of what a child writes to, read on the event loop without tasks or threads."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

_CHUNK_BYTES = 64 << 10


class PipeReader:
    """Calls `take` with what comes through `descriptor`, and owns that descriptor.

    `take` may call `stop`. `ended` is done once all writers have closed, or after `stop`.
    """

    def __init__(self, descriptor: int, take: Callable[[bytes], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._descriptor = descriptor
        self._take = take
        self.ended: asyncio.Future[None] = self._loop.create_future()
        os.set_blocking(descriptor, False)
        self._loop.add_reader(descriptor, self._readable)

    def stop(self) -> None:
        """Read no more. Safe to call twice."""
        if not self.ended.done():
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self.ended.set_result(None)

    def _readable(self) -> None:
        try:
            chunk = os.read(self._descriptor, _CHUNK_BYTES)
        except BlockingIOError:
            return
        except ConnectionResetError:  # a socket whose other end was closed with something unread in it
            chunk = b""
        if chunk:
            self._take(chunk)
        else:
            self.stop()


class Tail:
    """Keeps the last bytes of a stream and counts all of them."""

    def __init__(self, keep: int) -> None:
        self._keep = keep
        self._kept = bytearray()
        self.total = 0

    def add(self, chunk: bytes) -> None:
        """Append a chunk and forget what falls out at the front."""
        self.total += len(chunk)
        self._kept += chunk
        del self._kept[: -self._keep]

    def __bytes__(self) -> bytes:
        return bytes(self._kept)
