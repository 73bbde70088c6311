"""Through a proxy: a tunnel to a server that speaks TLS, whole URLs to one that does not."""

from __future__ import annotations

import asyncio
import base64
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kube import CONFIG_MAPS, Client, Configuration, Unreachable
from kube.http import Disconnected, Pool
from kube.http import pool as pool_module
from tests.kube.wire import OK, Secrets, certified, listening, read_head, speaking


@dataclass
class Proxy:
    """A proxy that tunnels; `refuse` is what it says instead, `consent` what it says first."""

    refuse: bytes | None = None
    consent: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n"
    port: int = 0
    heads: list[str] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await read_head(reader)
        self.heads.append(head)
        if self.refuse is not None:
            writer.write(self.refuse)
            return
        host, _, port = head.split()[1].rpartition(":")
        there, back = await asyncio.open_connection(host.strip("[]"), int(port))
        writer.write(self.consent)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(copy(reader, back))
                group.create_task(copy(there, writer))
        finally:
            back.transport.abort()


async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(1 << 16):
        sink.write(data)
        await sink.drain()
    sink.close()


@asynccontextmanager
async def proxying(proxy: Proxy, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Proxy]:
    async with listening(proxy.serve, tls=tls) as port:
        proxy.port = port
        yield proxy


@asynccontextmanager
async def tunnelled(secrets: Secrets, consent: bytes) -> AsyncIterator[tuple[Pool, Proxy]]:
    """A pool for a server with TLS, through a proxy that begins with `consent`."""
    async with (
        speaking(lambda *_: OK, tls=secrets.tls) as wire,
        proxying(Proxy(consent=consent)) as proxy,
    ):
        server, through = f"https://127.0.0.1:{wire.port}", f"http://127.0.0.1:{proxy.port}"
        yield Pool(server, tls=secrets.trust, proxy=through), proxy


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    return certified(tmp_path)


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
async def test_a_server_with_tls_is_reached_through_a_tunnel(secrets: Secrets, secure: bool) -> None:
    """The proxy sees where we go, and nothing of what is said."""
    scheme, tls = ("https", secrets.tls) if secure else ("http", None)
    async with speaking(lambda *_: OK, tls=secrets.tls) as wire, proxying(Proxy(), tls=tls) as proxy:
        pool = Pool(
            f"https://127.0.0.1:{wire.port}",
            tls=secrets.trust,
            proxy=f"{scheme}://user:p%40ss@127.0.0.1:{proxy.port}",
        )
        for _ in range(2):
            assert (await pool.exchange("POST", "/secret", {"Authorization": "Bearer t"}, b"body"))[
                1
            ] == b"ok"
        async with pool.stream("GET", "/watch", {}) as (answer, parts):
            assert answer.status == 200
            assert [part async for part in parts] == [b"ok"]
        await pool.close()
        assert not pool._connections
    assert [len(heads) for heads in wire.connections] == [2, 1]
    credentials = base64.b64encode(b"user:p@ss").decode()
    address = f"127.0.0.1:{wire.port}"
    asked = (
        f"CONNECT {address} HTTP/1.1\r\nHost: {address}\r\nProxy-Authorization: Basic {credentials}\r\n\r\n"
    )
    assert proxy.heads == [asked] * 2
    assert not any("Proxy-" in head for heads in wire.connections for head in heads)


async def test_a_server_without_tls_is_named_to_the_proxy() -> None:
    async with speaking(lambda *_: OK) as proxy:
        pool = Pool("http://api.example/prefix", proxy=f"http://me@127.0.0.1:{proxy.port}")
        assert (await pool.exchange("GET", "/api", {}))[1] == b"ok"
        await pool.close()
    credentials = base64.b64encode(b"me:").decode()
    assert proxy.connections == [
        [
            "GET http://api.example/prefix/api HTTP/1.1\r\n"
            f"Host: api.example\r\nProxy-Authorization: Basic {credentials}\r\n\r\n"
        ]
    ]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n", "HTTP 407 Proxy Auth"),
        (b"HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\n\r\n<html>", "HTTP 502 Bad Gateway"),
        (b"", "closed"),
        (b"SSH-2.0\r\n", "not HTTP"),
    ],
    ids=["who are you", "nobody there", "nothing", "no proxy"],
)
async def test_a_proxy_that_refuses_is_what_the_error_says(
    secrets: Secrets, answer: bytes, says: str
) -> None:
    async with proxying(Proxy(refuse=answer)) as proxy:
        pool = Pool("https://127.0.0.1:1", tls=secrets.trust, proxy=f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(Disconnected, match=says):
            await pool.exchange("GET", "/", {})
        await pool.close()
        assert not pool._connections


async def test_who_sits_in_the_tunnel_needs_the_servers_certificate(secrets: Secrets) -> None:
    async with speaking(lambda *_: OK, tls=secrets.tls) as wire, proxying(Proxy()) as proxy:
        pool = Pool(f"https://127.0.0.1:{wire.port}", proxy=f"http://127.0.0.1:{proxy.port}")
        with pytest.raises(ssl.SSLCertVerificationError):
            await pool.exchange("GET", "/", {})
        await pool.close()
    assert wire.requests == 0


@pytest.mark.parametrize(
    "consent",
    [
        b"HTTP/1.0 200 Connection established\r\nProxy-Agent: old\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ],
    ids=["old", "old, with a length", "closing", "in chunks"],
)
async def test_a_consent_is_one_in_whatever_frame(secrets: Secrets, consent: bytes) -> None:
    """What a consent says of a body or of the connection is about none that there is (RFC 9110, 9.3.6)."""
    async with tunnelled(secrets, consent) as (pool, proxy):
        for _ in range(2):
            assert (await pool.exchange("GET", "/", {}))[1] == b"ok"
        await pool.close()
        assert len(proxy.heads) == 1


@pytest.mark.parametrize(
    "consent",
    [
        b"HTTP/1.1 200 OK\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{",
    ],
    ids=["bare", "with a length", "in chunks"],
)
async def test_what_comes_before_tls_is_no_part_of_an_answer(secrets: Secrets, consent: bytes) -> None:
    """Whoever is on the way to the proxy could put it there."""
    async with tunnelled(secrets, consent) as (pool, _):
        with pytest.raises(Disconnected, match="spoke in the server's place"):
            await pool.exchange("GET", "/", {})
        await pool.close()
        assert not pool._connections


async def test_the_client_goes_through_the_proxy_of_its_configuration(secrets: Secrets) -> None:
    body = b'{"metadata":{"name":"any"}}'
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    async with speaking(lambda *_: answer, tls=secrets.tls) as wire, proxying(Proxy()) as proxy:
        there = Configuration(
            f"https://127.0.0.1:{wire.port}",
            ssl_context=secrets.trust,
            proxy=f"http://127.0.0.1:{proxy.port}",
        )
        async with Client(there, user_agent="test") as client:
            assert (await client.get(CONFIG_MAPS, "any", "ns"))["metadata"] == {"name": "any"}
        proxy.refuse = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
        async with Client(there, user_agent="test") as client:
            with pytest.raises(Unreachable, match="refuses to connect: HTTP 403 Forbidden"):
                await client.get(CONFIG_MAPS, "any", "ns")
    assert len(proxy.heads) == 2


@pytest.mark.parametrize("end", ["cancelled", "too late", "reset"])
async def test_a_tunnel_that_ends_before_tls_has_begun_is_not_waited_for(
    secrets: Secrets, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    """Nobody tells a connection that it is lost in the middle of a handshake; a pool that waited never closed."""
    greeted = asyncio.Event()

    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await reader.read(1)
        greeted.set()
        if end == "reset":
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            return
        await asyncio.Event().wait()

    if end == "too late":
        monkeypatch.setattr(pool_module, "CONNECT_TIMEOUT", 0.1)
    async with listening(mute) as port:
        pool = Pool("https://127.0.0.1:1", tls=secrets.trust, proxy=f"http://127.0.0.1:{port}")
        call = asyncio.ensure_future(pool.exchange("GET", "/", {}))
        await greeted.wait()
        if end == "cancelled":
            call.cancel()
        with pytest.raises((ConnectionError, asyncio.CancelledError)):
            await call
        async with asyncio.timeout(30):
            await pool.close()
        assert not pool._connections
