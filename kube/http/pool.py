"""Connections to one server, used again; through a proxy where one is named."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, nullcontext
from urllib.parse import SplitResult, urlsplit

from kube.http.connection import BUFFER, Answer, Connection, Disconnected
from kube.http.dialing import dial
from kube.http.proxies import Tunnel, authorization

CONNECT_TIMEOUT = 10.0
"""Seconds to connect, with TLS: a watch has no deadline as a whole, but a silent address is found out."""

KEEP_ALIVE = 50.0
"""Seconds after which an idle connection is not used again. Balancers drop it after 60, servers after 75 or more, and
some of them say nothing."""


BLOCKS = 16
"""Sets of header fields that are kept as text; a client has about four."""


class Pool:
    """Connections to the server of a URL, whose path goes before every target.

    At most `limit` are in use at once, without one any number. `tls` is for the server and for a proxy whose
    URL begins with https; `server_name` is the name to expect in the server's certificate where it is not the
    host's.
    """

    def __init__(
        self,
        server: str,
        *,
        tls: ssl.SSLContext | None = None,
        server_name: str | None = None,
        proxy: str | None = None,
        limit: int | None = None,
    ) -> None:
        self._url = urlsplit(server)
        self._proxy = urlsplit(proxy) if proxy else None
        self._first = self._proxy or self._url
        secure = self._url.scheme == "https"
        if tls is None and (secure or self._first.scheme == "https"):
            tls = ssl.create_default_context()
        self._tls = tls
        self._name = server_name or _certified(self._url)
        self._tunnel: Tunnel | None = None
        if self._proxy is not None and secure and tls is not None:
            address = f"{_host(self._url)}:{_port(self._url)}"
            self._tunnel = Tunnel(self._proxy, address, tls, self._name)
        self._turn: AbstractAsyncContextManager[None] = asyncio.Semaphore(limit) if limit else nullcontext()
        self._idle: dict[Connection, float] = {}  # and since when; the one that was used last is the last
        self._connections: set[Connection] = set()
        self._buffer = memoryview(bytearray(BUFFER))
        self._all_gone = asyncio.Event()
        self._closed = False
        self._before, self._after = self._form()
        self._blocks: dict[tuple[tuple[str, str], ...], str] = {}

    async def exchange(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None = None,
        *,
        most: int | None = None,
    ) -> tuple[Answer, bytes]:
        """Send a request and return its answer with the whole body, of which `most` bytes are taken.

        Raises:
            OSError: if no connection can be made; as Disconnected if the answer is cut or is no HTTP.
            TooLong: if the body is longer than `most`.
        """
        request = self._compose(method, target, headers, body)
        async with self._turn:
            while True:
                sent = _now()
                connection = self._last_used(sent)
                fresh = connection is None
                if connection is None:
                    connection = await self._connect()
                try:
                    return await connection.exchange(request, most)
                except Disconnected as error:
                    # A server may end an idle connection while a request is on its way to it. Only what changes
                    # nothing is sent again: of anything else nobody knows whether it was done.
                    if fresh or error.answered or method != "GET":
                        raise
                finally:
                    if not fresh and not connection.answered:
                        self._doubt(sent)
                    self._give_back(connection)

    @asynccontextmanager
    async def stream(
        self, method: str, target: str, headers: Mapping[str, str]
    ) -> AsyncIterator[tuple[Answer, AsyncGenerator[bytes, None]]]:
        """Send a request; gives the head of its answer, and the body as it comes.

        A body that is left before its end takes the connection with it.

        Raises:
            OSError: as `exchange`, also later.
        """
        request = self._compose(method, target, headers, None)
        async with self._turn:
            # Always a connection of its own: it lasts minutes, and what is idle may be about to be closed.
            connection = await self._connect()
            try:
                answer = await connection.begin(request)
                async with aclosing(connection.body()) as body:
                    yield answer, body
            finally:
                connection.close()

    async def close(self) -> None:
        """End every connection; returns when they are gone. What is still asked through them fails."""
        self._closed = True
        while self._connections:
            self._all_gone.clear()
            for connection in tuple(self._connections):
                connection.close()
            await self._all_gone.wait()
        await asyncio.sleep(0)  # what was given up while it connected is closed in the loop's next turn

    def _last_used(self, now: float) -> Connection | None:
        """The idle connection that was used last, so that the others grow old and are closed."""
        while self._idle:
            connection, since = self._idle.popitem()
            if connection.reusable and now - since < KEEP_ALIVE:
                return connection
            connection.close()
        return None

    def _doubt(self, sent: float) -> None:
        """Close what was idle already when a request was sent that nobody answered: as likely as not it is as dead.

        Each of them would cost another request its deadline, or a write its outcome.
        """
        for connection in [idle for idle, since in self._idle.items() if since <= sent]:
            del self._idle[connection]
            connection.close()

    def _give_back(self, connection: Connection) -> None:
        if not connection.reusable:
            connection.close()
            return
        now = _now()
        self._idle[connection] = now
        while now - self._idle[oldest := next(iter(self._idle))] >= KEEP_ALIVE:
            del self._idle[oldest]
            oldest.close()

    async def _connect(self) -> Connection:
        if self._closed:
            raise Disconnected("the client was closed")
        connection = Connection(self._lost, self._buffer)
        self._connections.add(connection)
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                await self._open(connection)
                if self._tunnel is not None:
                    await self._tunnel.open(connection)
            if self._closed:  # in the meantime
                raise Disconnected("the client was closed")
        except TimeoutError:
            self._give_up(connection)
            raise ConnectionError(f"{_host(self._first)}:{_port(self._first)} does not answer") from None
        except BaseException:
            self._give_up(connection)
            raise
        return connection

    async def _open(self, connection: Connection) -> None:
        to, secure = self._first, self._first.scheme == "https"
        dialled = await dial(to.hostname or "", _port(to))
        try:
            await asyncio.get_running_loop().create_connection(
                lambda: connection,
                sock=dialled,
                ssl=self._tls if secure else None,
                server_hostname=(self._name if to is self._url else _certified(to)) if secure else None,
            )
        except BaseException:
            dialled.close()
            raise

    def _give_up(self, connection: Connection) -> None:
        connection.close()
        # Asyncio tells a connection of its end only if it has told it of its beginning, and says nothing at all of
        # one that ends while TLS begins above it.
        self._lost(connection)

    def _lost(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._idle.pop(connection, None)
        if not self._connections:
            self._all_gone.set()

    def _form(self) -> tuple[str, str]:
        """What goes before a target, and what follows it: the form differs where a proxy reads the request."""
        prefix = self._url.path.rstrip("/")
        host = self._url.netloc.rpartition("@")[2]
        lines = f" HTTP/1.1\r\nHost: {host}"
        if self._proxy is None or self._tunnel is not None:
            return prefix, lines
        allowed = authorization(self._proxy)
        return f"http://{host}{prefix}", lines + (f"\r\nProxy-Authorization: {allowed}" if allowed else "")

    def _compose(self, method: str, target: str, headers: Mapping[str, str], body: bytes | None) -> bytes:
        fields = tuple(headers.items())
        block = self._blocks.get(fields)
        if block is None:
            block = _block(fields)
            if len(self._blocks) >= BLOCKS:  # of credentials that were replaced
                self._blocks.clear()
            self._blocks[fields] = block
        length = "" if body is None else f"Content-Length: {len(body)}\r\n"
        head = f"{method} {self._before}{target}{self._after}\r\n{block}{length}\r\n".encode()
        return head + body if body else head


def _block(fields: tuple[tuple[str, str], ...]) -> str:
    for name, value in fields:
        if any(end in text for text in (name, value) for end in "\r\n"):
            raise ValueError(f"the header {name!r} has a line break in its value")
    return "".join(f"{name}: {value}\r\n" for name, value in fields)


def _host(url: SplitResult) -> str:
    host = url.hostname or ""
    return f"[{host}]" if ":" in host else host


def _certified(url: SplitResult) -> str | None:
    """The host's name as certificates have it: without the dot that ends a search for it."""
    return url.hostname.rstrip(".") if url.hostname else None


def _port(url: SplitResult) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _now() -> float:
    return asyncio.get_running_loop().time()
