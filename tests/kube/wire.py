"""Servers that speak bytes as a test scripts them: what a well-behaved library would never send."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from localcluster.certificates import Authority

Speaking = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass(frozen=True)
class Secrets:
    """A server's certificate, and who trusts it."""

    tls: ssl.SSLContext
    trust: ssl.SSLContext


def certified(folder: Path, host: str = "127.0.0.1") -> Secrets:
    """A certificate for a host, made by an authority of its own; `folder` gets the files."""
    authority = Authority("test")
    authority.server("test", (host,)).write(folder / "tls")
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    return Secrets(tls, ssl.create_default_context(cadata=authority.certificate.decode()))


@dataclass
class Wire:
    """A server's address, and every request head that it has read, by connection."""

    port: int = 0
    connections: list[list[str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def requests(self) -> int:
        return sum(len(heads) for heads in self.connections)


@asynccontextmanager
async def speaking(
    speak: Callable[[Wire, int, int], bytes | None], *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Wire]:
    """A server that answers the n-th request of the m-th connection with `speak(wire, m, n)`.

    None hangs up. Requests' bodies are read and dropped.
    """
    wire = Wire()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads: list[str] = []
        number = len(wire.connections)
        wire.connections.append(heads)
        while head := await read_head(reader):
            heads.append(head)
            await reader.readexactly(length_of(head))
            answer = speak(wire, number, len(heads) - 1)
            if answer is None:
                break
            writer.write(answer)
            if closes(answer):
                break
        writer.close()

    async with listening(serve, tls=tls) as port:
        wire.port = port
        yield wire


@asynccontextmanager
async def listening(serve: Speaking, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A loopback port whose every connection is given to `serve`; they end with the block."""
    tasks: set[asyncio.Task[None]] = set()

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            tasks.discard(task)
            writer.transport.abort()

    server = await asyncio.start_server(guarded, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)


async def read_head(reader: asyncio.StreamReader) -> str:
    """A request's head, or nothing at the end of the connection."""
    try:
        return (await reader.readuntil(b"\r\n\r\n")).decode()
    except (asyncio.IncompleteReadError, ConnectionError):
        return ""


def length_of(head: str) -> int:
    """The Content-Length that a head says."""
    for line in head.splitlines():
        name, _, value = line.partition(":")
        if name.lower() == "content-length":
            return int(value)
    return 0


def closes(answer: bytes) -> bool:
    """Whether the server ends the connection after this."""
    head = answer.partition(b"\r\n\r\n")[0].lower()
    return b"connection: close" in head or answer.startswith(b"HTTP/1.0")
