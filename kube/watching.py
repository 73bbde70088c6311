"""A watch's bytes into lines: complete ones only, of any length that an object can have."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator

from kube.errors import ApiError

LINE_LIMIT = 64 << 20
"""Bytes. etcd takes objects of 1.5 MiB and an event wraps one; what is far above is no event of ours."""


class LineTooLong(ApiError):
    """The stream is not a watch: a line has outgrown what an object can be."""


async def lines(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Split a stream at its newlines, over chunk boundaries; an unfinished last line is dropped.

    The pieces of a long line are joined once, at its end, so that its cost stays linear in its length.
    """
    pieces: list[bytes] = []
    size = 0
    async for chunk in chunks:
        first, *rest = chunk.split(b"\n")
        pieces.append(first)
        size += len(first)
        if size > LINE_LIMIT:
            raise LineTooLong(0, "LineTooLong", f"a line of a watch exceeds {LINE_LIMIT} bytes")
        if not rest:
            continue
        line = b"".join(pieces)
        if line.strip():
            yield line
        for line in rest[:-1]:
            if line.strip():
                yield line
        pieces, size = [rest[-1]], len(rest[-1])
