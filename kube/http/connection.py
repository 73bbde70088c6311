"""One HTTP/1.1 connection: asyncio's transport below, llhttp as the parser, one exchange at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from enum import Enum, auto
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

READ_AHEAD = 1 << 20
"""Bytes of a stream that are kept for a reader who is slower than the server; then the socket is not read."""

BUFFER = 1 << 16
"""Bytes of a connection's buffer. Without one asyncio makes 256 KiB anew for each read, at more cost than parsing."""

HEAD_LIMIT = 1 << 17
"""Bytes without any of a body in them: heads, announcements and trailers. A server's are a few KB; one that sends
them without end would fill the memory, whatever limit there is for the body."""

LONG_REQUEST = 1 << 16
"""Bytes of a request above which a server that refuses it may not have read all of it, nor ever will. What follows
on the same connection would wait for that."""

_SIZE = frozenset({b"content-length", b"transfer-encoding"})


class Disconnected(ConnectionError):
    """The connection ended before the answer did, or what came was not HTTP.

    `answered` tells whether the head of an answer had come.
    """

    def __init__(self, message: str, *, answered: bool = False) -> None:
        super().__init__(message)
        self.answered = answered


class TooLong(Exception):
    """An answer has more bytes than were asked for."""


class Answer:
    """The head of an answer. `retry_after` is that header's text, empty if there was none."""

    __slots__ = ("reason", "retry_after", "status")

    def __init__(self) -> None:
        self.status = 0
        self.reason = ""
        self.retry_after = ""


class _State(Enum):
    IDLE = auto()  # no exchange is under way
    ASKED = auto()  # the request is sent; of its answer there is at most a part of the head
    BODY = auto()  # the head is complete
    DONE = auto()  # the answer is complete; its reader has not taken the end of it yet
    ENDED = auto()  # the answer will never be complete, or the connection is gone


class Connection(asyncio.BufferedProtocol):
    """A connection that its user has alone. It ends by itself when an answer is cut or is no HTTP.

    `on_lost` is called once the connection is gone. `buffer` is where what comes is put before it is parsed;
    connections of one loop may share it.
    """

    def __init__(self, on_lost: Callable[[Connection], None], buffer: memoryview) -> None:
        self._on_lost = on_lost
        self._buffer = buffer
        self._transport: asyncio.Transport | None = None
        self._parser = HttpResponseParser(self)
        self._state = _State.IDLE
        self._keep = True
        self._answer = Answer()
        self._sized = False
        self._parts: list[bytes] = []
        self._length = 0
        self._bare = 0
        self._most: int | None = None
        self._streaming = False
        self._long = False
        self._paused = False
        self._error: Exception = Disconnected("the connection is closed")
        self._waiting: asyncio.Future[None] | None = None

    @property
    def reusable(self) -> bool:
        """Whether another exchange may follow: the last answer was taken to its end, and the server stays."""
        return self._state is _State.IDLE and self._keep

    @property
    def answered(self) -> bool:
        """Whether the head of the last request's answer has come."""
        return self._answer.status > 0

    @property
    def transport(self) -> asyncio.Transport:
        """The transport below.

        Raises:
            Disconnected: if there is none any more.
        """
        if self._transport is None:
            raise self._error
        return self._transport

    async def exchange(self, request: bytes, most: int | None = None) -> tuple[Answer, bytes]:
        """Send a request and return its answer with the whole body.

        Raises:
            Disconnected: if there is no answer, or only a part of one.
            TooLong: if the body is longer than `most` bytes.
        """
        self._send(request, streaming=False, most=most)
        while self._state is not _State.DONE:
            await self._more()
        self._state = _State.IDLE
        return self._answer, self._take()

    async def begin(self, request: bytes) -> Answer:
        """Send a request and return the head of its answer; `body` has the rest.

        Raises:
            Disconnected: as `exchange`.
        """
        self._send(request, streaming=True, most=None)
        while not self._answer.status:
            await self._more()
        return self._answer

    async def body(self) -> AsyncGenerator[bytes, None]:
        """The body as it comes, to its end.

        Raises:
            Disconnected: if it is cut.
        """
        while True:
            if self._parts:
                yield self._take()
            elif self._state is _State.DONE:
                self._state = _State.IDLE
                return
            else:
                await self._more()

    @property
    def unread(self) -> bool:
        """Whether a part of a body has come that nobody has taken yet."""
        return bool(self._parts)

    def close(self) -> None:
        """End the connection. Without a goodbye, which a frozen server would never answer."""
        if self._transport is not None:
            self._transport.abort()

    def continue_above(self, transport: asyncio.Transport) -> None:
        """Go on above another transport: TLS through a tunnel that this connection has had opened.

        Raises:
            Disconnected: if the connection was lost meanwhile.
        """
        if self._transport is None:
            raise self._error
        self._transport = transport
        self._parser = HttpResponseParser(self)
        self._state = _State.IDLE
        self._keep = True

    def _send(self, request: bytes, *, streaming: bool, most: int | None) -> None:
        if not self.reusable or self._transport is None:
            raise self._error
        self._state = _State.ASKED
        self._answer = Answer()
        self._length = self._bare = 0
        self._streaming, self._most = streaming, most
        self._long = len(request) > LONG_REQUEST
        self._transport.write(request)

    async def _more(self) -> None:
        """Wait until there is something new."""
        if self._state is _State.ENDED:
            raise self._error
        self._waiting = asyncio.get_running_loop().create_future()
        try:
            await self._waiting
        finally:
            self._waiting = None

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    def _take(self) -> bytes:
        parts = self._parts
        content = parts[0] if len(parts) == 1 else b"".join(parts)
        parts.clear()
        self._length = 0
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return content

    def _fail(self, error: Exception) -> None:
        """Nothing more comes; what has come of a body can still be read."""
        if self._state not in (_State.DONE, _State.ENDED):
            self._state = _State.ENDED
            self._error = error
        self._keep = False
        self.close()
        self._wake()

    def _cut(self, reason: str) -> Disconnected:
        return Disconnected(reason, answered=self.answered)

    # --- what the transport calls ---------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def get_buffer(self, _sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._state not in (_State.ASKED, _State.BODY):
            # What nobody has asked for would be taken for the answer to the next request.
            self._fail(self._cut("the server spoke without being asked"))
            return
        self._bare += nbytes
        try:
            self._parser.feed_data(self._buffer[:nbytes])
        except (HttpParserError, HttpParserUpgrade) as error:
            self._fail(self._cut(f"the answer is not HTTP: {error}"))
        if self._bare > HEAD_LIMIT:
            self._fail(self._cut(f"the answer's head is longer than {HEAD_LIMIT} bytes"))

    def eof_received(self) -> None:
        if self._state is _State.BODY and not self._sized:
            self._state = _State.DONE  # a body without a length ends with its connection
        self._fail(self._cut("the server closed the connection"))

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._fail(self._cut(str(error) if error else "the connection was closed"))
        self._on_lost(self)

    # --- what the parser calls ------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._state is not _State.ASKED:
            raise ValueError("one answer more than there were requests")
        self._answer = Answer()  # what an announcement said is not about the answer that follows it
        self._sized = False

    def on_status(self, reason: bytes) -> None:
        self._answer.reason += reason.decode("latin-1")  # a part, where it came in parts

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name in _SIZE:
            self._sized = True
        elif name == b"retry-after":
            self._answer.retry_after = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status >= 200:  # "100 Continue" and its like announce an answer, and are none
            self._answer.status = status
            self._state = _State.BODY
            if self._streaming:
                self._wake()

    def on_body(self, part: bytes) -> None:
        self._parts.append(part)
        self._length += len(part)
        self._bare = 0
        if self._streaming:
            self._wake()
            if self._length > READ_AHEAD and not self._paused and self._transport is not None:
                self._paused = True
                self._transport.pause_reading()
        elif self._most is not None and self._length > self._most:
            self._fail(TooLong(f"the answer is longer than {self._most} bytes"))

    def on_message_complete(self) -> None:
        if self._state is _State.BODY:
            self._state = _State.DONE
            refused = self._long and self._answer.status >= 300
            self._keep = self._parser.should_keep_alive() and not refused
            self._wake()
