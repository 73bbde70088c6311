"""Which connection a request goes over, and what becomes of it afterwards."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from kube.http import Disconnected, Pool, dialing
from kube.http import pool as pool_module
from kube.http.pool import CONNECT_TIMEOUT, KEEP_ALIVE
from tests.kube.wire import OK, Wire, certified, listening, read_head, speaking


def ok(_wire: Wire, _connection: int, _request: int) -> bytes:
    return OK


async def test_a_connection_is_used_again_until_the_server_says_otherwise() -> None:
    async def last(pool: Pool, wire: Wire) -> list[int]:
        for _ in range(4):
            assert (await pool.exchange("POST", "/", {}, b"body"))[1] == b"ok"
        await pool.close()
        return [len(heads) for heads in wire.connections]

    async with speaking(ok) as wire:
        assert await last(Pool(wire.url), wire) == [4]
    closing = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    async with speaking(lambda _w, _c, n: closing if n == 1 else OK) as wire:
        assert await last(Pool(wire.url), wire) == [2, 2]


@pytest.mark.looptime
async def test_a_connection_that_was_idle_for_long_is_not_used_again(looptime: Any) -> None:
    """A balancer may have forgotten it, and says nothing: the request would wait for an answer in vain."""
    async with speaking(ok) as wire:
        pool = Pool(wire.url)
        for pause in (KEEP_ALIVE - 1, KEEP_ALIVE + 1, 0):
            await pool.exchange("GET", "/", {})
            await asyncio.sleep(pause)
        assert [len(heads) for heads in wire.connections] == [2, 1]
        await pool.close()


@pytest.mark.looptime
async def test_connections_of_a_burst_are_closed_when_they_have_grown_old(looptime: Any) -> None:
    async with speaking(ok) as wire:
        pool = Pool(wire.url)
        await asyncio.gather(*(pool.exchange("GET", "/", {}) for _ in range(20)))
        assert len(wire.connections) == 20
        for _ in range(3):
            await asyncio.sleep(KEEP_ALIVE / 2)
            await pool.exchange("GET", "/", {})
        await asyncio.sleep(0)
        assert len(pool._connections) == 1
        await pool.close()


@pytest.mark.parametrize(
    ("method", "again"), [("GET", True), ("POST", False), ("PATCH", False), ("DELETE", False)]
)
async def test_only_what_changes_nothing_is_sent_again_after_a_stale_connection(
    method: str, again: bool
) -> None:
    """The server ends an idle connection just when the next request is on its way; it may have been done."""
    async with speaking(lambda _w, connection, n: None if (connection, n) == (0, 1) else OK) as wire:
        pool = Pool(wire.url)
        await pool.exchange("GET", "/first", {})
        if again:
            assert (await pool.exchange(method, "/second", {}))[1] == b"ok"
        else:
            with pytest.raises(Disconnected):
                await pool.exchange(method, "/second", {})
        await pool.close()
        assert sum("/second" in head for heads in wire.connections for head in heads) == 1 + again


async def test_a_server_that_hangs_up_on_everything_is_not_asked_for_ever() -> None:
    async with speaking(lambda *_: None) as wire:
        pool = Pool(wire.url)
        with pytest.raises(Disconnected):
            await pool.exchange("GET", "/", {})
        await pool.close()
        assert wire.requests == 1


async def test_half_an_answer_is_not_asked_for_again() -> None:
    half = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nhalf"
    async with speaking(lambda _w, _c, n: half if n else OK) as wire:
        pool = Pool(wire.url)
        await pool.exchange("GET", "/", {})
        with pytest.raises(Disconnected):
            await pool.exchange("GET", "/", {})
        await pool.close()
        assert wire.requests == 2


async def test_a_cancelled_exchange_takes_its_connection_with_it() -> None:
    """Its answer, which is still to come, would be the next request's."""
    release = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await read_head(reader):
            if "/slow" in head:
                await release.wait()
            path = head.split()[1].encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path))

    async with listening(slow) as port:
        pool = Pool(f"http://127.0.0.1:{port}", limit=1)
        await pool.exchange("GET", "/fast", {})
        call = asyncio.ensure_future(pool.exchange("GET", "/slow", {}))
        await asyncio.sleep(0.05)
        call.cancel()
        await asyncio.wait({call})
        release.set()
        assert (await pool.exchange("GET", "/other", {}))[1] == b"/other"
        await pool.close()


async def test_a_request_that_was_refused_unread_holds_up_no_other() -> None:
    """The server that waits for nothing of it any more does not read what comes after it either."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while "/long" not in await read_head(reader):
            writer.write(OK)
        writer.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
        await asyncio.Event().wait()

    async with listening(refuse) as port:
        pool = Pool(f"http://127.0.0.1:{port}")
        head, _ = await pool.exchange("POST", "/long", {}, bytes(32 << 20))
        assert head.status == 413
        async with asyncio.timeout(30):
            assert (await pool.exchange("GET", "/", {}))[1] == b"ok"
        await pool.close()


@pytest.mark.looptime
@pytest.mark.parametrize("method", ["GET", "PATCH"])
async def test_one_connection_that_is_dead_costs_one_deadline(looptime: Any, method: str) -> None:
    """A balancer that forgets one forgets them all; a leader has time for two calls before it must stop."""
    forgotten = asyncio.Event()
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        old = not forgotten.is_set()
        while await read_head(reader):
            await asyncio.sleep(0.1)  # so that all are there at once
            if old and forgotten.is_set():
                await asyncio.Event().wait()
            writer.write(OK)

    async with listening(serve) as port:
        pool = Pool(f"http://127.0.0.1:{port}")
        await asyncio.gather(*(pool.exchange("GET", "/", {}) for _ in range(5)))
        assert connections == 5
        forgotten.set()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(5):
                await pool.exchange(method, "/", {})
        async with asyncio.timeout(5):
            assert (await pool.exchange(method, "/", {}))[1] == b"ok"
        assert connections == 6
        assert looptime < 6
        await pool.close()


async def test_an_answer_that_was_not_waited_for_costs_no_other_its_connection() -> None:
    """What was used while another waited is alive."""
    hold = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await read_head(reader):
            if "/slow" in head:
                await hold.wait()
            writer.write(OK)

    async with listening(serve) as port:
        pool = Pool(f"http://127.0.0.1:{port}")
        await asyncio.gather(*(pool.exchange("GET", "/", {}) for _ in range(2)))
        slow = asyncio.ensure_future(pool.exchange("GET", "/slow", {}))
        await asyncio.sleep(0)
        await pool.exchange("GET", "/", {})
        assert len(pool._connections) == 2
        slow.cancel()
        await asyncio.wait({slow})
        await asyncio.sleep(0)
        assert [connection.reusable for connection in pool._connections] == [True]
        await pool.close()


async def test_no_more_than_the_limit_are_asked_at_once() -> None:
    now = most = 0

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal now, most
        while await read_head(reader):
            now += 1
            most = max(most, now)
            await asyncio.sleep(0.01)
            now -= 1
            writer.write(OK)

    async with listening(count) as port:
        pool = Pool(f"http://127.0.0.1:{port}", limit=3)
        await asyncio.gather(*(pool.exchange("GET", "/", {}) for _ in range(30)))
        await pool.close()
    assert most == 3


@pytest.mark.looptime
async def test_an_address_that_does_not_answer_is_given_up(
    looptime: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(_host: str, _port: int) -> socket.socket:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(pool_module, "dial", never)
    pool = Pool("http://127.0.0.1:9")
    with pytest.raises(ConnectionError, match=r"127\.0\.0\.1:9 does not answer"):
        await pool.exchange("GET", "/", {})
    assert looptime == pytest.approx(CONNECT_TIMEOUT, abs=0.5)
    await pool.close()


async def two_addresses(_host: str, port: int) -> list[Any]:
    """Nobody is at the first."""
    return [
        (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (address, port))
        for address in ("127.0.0.2", "127.0.0.1")
    ]


async def test_a_host_with_a_dead_address_is_reached_by_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    async with speaking(ok) as wire:
        monkeypatch.setattr(dialing, "_addresses", two_addresses)
        pool = Pool(f"http://host.example:{wire.port}")
        assert (await pool.exchange("GET", "/", {}))[1] == b"ok"
        await pool.close()
        assert f"Host: host.example:{wire.port}" in wire.connections[0][0]


async def test_a_cancellation_is_heard_while_other_addresses_are_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In the very turn in which one has answered; it was taken for the end of the attempt that had lost."""
    monkeypatch.setattr(dialing, "NEXT_ADDRESS", 0.01)
    loop = asyncio.get_running_loop()
    answered = asyncio.Event()

    class Attempts:
        """The first address never answers; the second does."""

        def __init__(self) -> None:
            self._connect = loop.sock_connect

        async def __call__(self, sock: socket.socket, address: Any) -> None:
            if address[0] == "127.0.0.2":
                await asyncio.Event().wait()
            await self._connect(sock, address)
            answered.set()

    monkeypatch.setattr(loop, "sock_connect", Attempts())
    async with speaking(ok) as wire:
        monkeypatch.setattr(dialing, "_addresses", two_addresses)
        for turns in range(8):
            answered.clear()
            pool = Pool(f"http://host.example:{wire.port}")
            call = asyncio.ensure_future(pool.exchange("GET", "/", {}))
            await answered.wait()
            for _ in range(turns):
                await asyncio.sleep(0)
            heard = call.cancel()
            await asyncio.wait({call})
            assert call.cancelled() == heard, f"a cancel at turn {turns}"
            await pool.close()
            assert not pool._connections


@pytest.mark.parametrize("host", ["a" * 64, "api..example"])
async def test_what_cannot_be_a_name_is_nobodys(host: str) -> None:
    pool = Pool(f"http://{host}")
    with pytest.raises(OSError, match="is no host name"):
        await pool.exchange("GET", "/", {})
    await pool.close()


async def test_a_name_is_looked_up() -> None:
    async with speaking(ok) as wire:
        pool = Pool(f"http://localhost:{wire.port}")
        assert (await pool.exchange("GET", "/", {}))[1] == b"ok"
        await pool.close()


async def test_the_servers_own_path_goes_before_every_other() -> None:
    """As with a server that many clusters share."""
    async with speaking(ok) as wire:
        pool = Pool(f"{wire.url}/k8s/clusters/one/")
        await pool.exchange("GET", "/api/v1/pods?watch=true", {})
        await pool.close()
        assert wire.connections[0][0].startswith("GET /k8s/clusters/one/api/v1/pods?watch=true HTTP/1.1\r\n")


@pytest.mark.parametrize("value", ["a\nX-Evil: 1", "a\r\nX-Evil: 1", "a\r"])
async def test_a_headers_value_cannot_bring_another_header(value: str) -> None:
    async with speaking(ok) as wire:
        pool = Pool(wire.url)
        with pytest.raises(ValueError, match="'Authorization' has a line break"):
            await pool.exchange("GET", "/", {"Authorization": value})
        await pool.close()
        assert wire.requests == 0


async def test_closing_ends_what_is_under_way_and_starts_nothing_anew() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while "/slow" not in await read_head(reader):
            writer.write(OK)
        await asyncio.Event().wait()

    async with listening(silent) as port:
        pool = Pool(f"http://127.0.0.1:{port}")
        await pool.exchange("GET", "/", {})
        call = asyncio.ensure_future(pool.exchange("GET", "/slow", {}))
        await asyncio.sleep(0.05)
        await pool.close()
        with pytest.raises(Disconnected, match="closed"):
            await call
        with pytest.raises(Disconnected, match="the client was closed"):
            await pool.exchange("GET", "/", {})
        assert not pool._connections


@pytest.mark.parametrize("host", ["api.example", "API.example", "api.example."])
async def test_a_certificate_is_for_a_name_however_that_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str
) -> None:
    """With a dot at its end a name is looked up as it is, in no search domain."""

    async def here(_host: str, port: int) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", port))]

    monkeypatch.setattr(dialing, "_addresses", here)
    secrets = certified(tmp_path, "api.example")
    async with speaking(ok, tls=secrets.tls) as wire:
        pool = Pool(f"https://{host}:{wire.port}", tls=secrets.trust)
        assert (await pool.exchange("GET", "/", {}))[1] == b"ok"
        await pool.close()


@pytest.mark.parametrize(
    ("name", "fits"), [(None, False), ("kubernetes", True), ("other", False)], ids=["host", "given", "wrong"]
)
async def test_a_certificate_must_be_for_the_name_that_is_expected(
    tmp_path: Path, name: str | None, fits: bool
) -> None:
    secrets = certified(tmp_path, "kubernetes")
    async with speaking(ok, tls=secrets.tls) as wire:
        pool = Pool(f"https://127.0.0.1:{wire.port}", tls=secrets.trust, server_name=name)
        if fits:
            assert (await pool.exchange("GET", "/", {}))[1] == b"ok"
        else:
            with pytest.raises(ssl.SSLCertVerificationError, match=r"mismatch|not valid"):
                await pool.exchange("GET", "/", {})
            assert wire.requests == 0
        await pool.close()
        assert not pool._connections
