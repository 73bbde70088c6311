"""Length-prefixed frames: how the bytes between parent and child keep their bounds. Four bytes, little endian."""

from __future__ import annotations

import os
import struct

_PREFIX = struct.Struct("<I")

MESSAGE, QUESTION = b"m", b"q"
"""First byte of what a child sends: is it for the parent to keep, or does the child wait for an answer?"""


class FramesTooLarge(Exception):
    """The other side has announced or sent more than it may. Stop reading and end it."""


def frame(content: bytes) -> bytes:
    """One frame as it travels."""
    return _PREFIX.pack(len(content)) + content


def write_frame(descriptor: int, content: bytes) -> None:
    """Write one frame to a blocking descriptor. Raises OSError if nobody reads any more."""
    rest = memoryview(frame(content))
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def read_frame(descriptor: int) -> bytes:
    """Read one frame from a blocking descriptor. Raises EOFError if the other side has gone."""
    (length,) = _PREFIX.unpack(_read(descriptor, _PREFIX.size))
    return _read(descriptor, length)


class FrameReader:
    """Takes bytes as they come and gives back complete frames; takes at most `limit` bytes in all its life.

    The first frame has an allowance of its own, `first` bytes, which no later one can use up. A length is
    believed only as far as it fits into what is left, so that four bytes cannot make the reader set aside
    four gigabytes.
    """

    def __init__(self, limit: int, *, first: int) -> None:
        self._limit = limit
        self._left = first
        self._first = True
        self._buffer = bytearray()

    def feed(self, chunk: bytes) -> list[bytes]:
        """Add bytes and return the frames that are now complete. Raises FramesTooLarge beyond the limit."""
        self._buffer += chunk
        frames = []
        while len(self._buffer) >= _PREFIX.size:
            (length,) = _PREFIX.unpack_from(self._buffer)
            if _PREFIX.size + length > self._left:
                raise FramesTooLarge(f"a frame of {length} bytes, with {self._left} left of the limit")
            end = _PREFIX.size + length
            if len(self._buffer) < end:
                break
            frames.append(bytes(self._buffer[_PREFIX.size : end]))
            del self._buffer[:end]
            self._left = self._limit if self._first else self._left - end
            self._first = False
        return frames


def _read(descriptor: int, count: int) -> bytes:
    parts = []
    while count:
        part = os.read(descriptor, min(count, 1 << 20))
        if not part:
            raise EOFError("the parent has gone")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
