"""HTTP as servers speak it, rightly and wrongly, to one connection after the other."""

from __future__ import annotations

import asyncio
import contextlib
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kube.http import Answer, Connection, Disconnected, Pool, TooLong
from kube.http.connection import BUFFER, HEAD_LIMIT, READ_AHEAD
from tests.kube.wire import OK, listening, read_head, speaking

BODY = b"a body \x00\xff of some bytes"


def chunked(body: bytes, size: int = 5) -> bytes:
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


ANSWERS = {
    "with its length": b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY),
    "in chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(BODY),
    "chunks with a trailer": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    + chunked(BODY).removesuffix(b"\r\n")
    + b"Checksum: 1\r\n\r\n",
    "to the end of the connection": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + BODY,
    "of an old server": b"HTTP/1.0 200 OK\r\n\r\n" + BODY,
    "announced": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nRetry-After: 9\r\n\r\n"
    b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY),
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
async def test_a_body_is_read_however_it_is_framed(answer: bytes) -> None:
    async with speaking(lambda *_: answer) as wire:
        pool = Pool(wire.url)
        for _ in range(2):
            head, body = await pool.exchange("GET", "/", {})
            assert (head.status, head.reason, body) == (200, "OK", BODY)
            async with pool.stream("GET", "/", {}) as (head, parts):
                assert head.status == 200
                assert b"".join([part async for part in parts]) == BODY
        await pool.close()


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_that_has_no_body_is_over_at_once(status: int) -> None:
    async with speaking(lambda *_: b"HTTP/1.1 %d Nothing\r\nRetry-After: 7\r\n\r\n" % status) as wire:
        pool = Pool(wire.url)
        head, body = await pool.exchange("GET", "/", {})
        assert (head.status, head.reason, head.retry_after, body) == (status, "Nothing", "7", b"")
        await pool.close()


@settings(max_examples=200, deadline=None)
@given(name=st.sampled_from(sorted(ANSWERS)), cuts=st.lists(st.integers(0, 400), max_size=12))
def test_an_answer_may_come_in_any_pieces(name: str, cuts: list[int]) -> None:
    answer = ANSWERS[name].replace(b" 200 OK\r\n", b" 200 Very OK\r\nRetry-After: 17\r\n")
    edges = sorted({0, len(answer), *(cut for cut in cuts if cut < len(answer))})

    async def read() -> tuple[Answer, bytes]:
        connection, transport = scripted()
        reading = asyncio.ensure_future(connection.exchange(b"request"))
        await asyncio.sleep(0)
        for begin, end in itertools.pairwise(edges):
            receive(connection, answer[begin:end])
        if transport.open:
            connection.eof_received()
        return await reading

    head, body = asyncio.run(read())
    assert (head.status, head.reason, head.retry_after, body) == (200, "Very OK", "17", BODY)


@settings(max_examples=300, deadline=None)
@given(
    answer=st.one_of(
        st.binary(max_size=200),
        st.builds(
            lambda answer, at, noise: answer[:at] + noise + answer[at:],
            st.sampled_from(sorted(ANSWERS.values())),
            st.integers(0, 150),
            st.binary(min_size=1, max_size=4),
        ),
    )
)
def test_whatever_comes_is_an_answer_or_an_error(answer: bytes) -> None:
    """Never another exception, and never a wait for what cannot come any more."""

    async def read() -> None:
        connection, transport = scripted()
        reading = asyncio.ensure_future(connection.exchange(b"request"))
        await asyncio.sleep(0)
        receive(connection, answer)
        if transport.open:
            connection.eof_received()
        async with asyncio.timeout(5):
            head, _ = await reading
        assert 200 <= head.status <= 999

    with contextlib.suppress(Disconnected):
        asyncio.run(read())


class Scripted(asyncio.Transport):
    """A transport of a test that is the server itself."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self.open = True
        self.written = b""
        self._connection = connection

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def abort(self) -> None:
        if self.open:
            self.open = False
            asyncio.get_running_loop().call_soon(self._connection.connection_lost, None)


def receive(connection: Connection, data: bytes) -> None:
    connection.get_buffer(-1)[: len(data)] = data
    connection.buffer_updated(len(data))


def scripted() -> tuple[Connection, Scripted]:
    connection = Connection(lambda _: None, memoryview(bytearray(BUFFER)))
    transport = Scripted(connection)
    connection.connection_made(transport)
    return connection, transport


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (b"SSH-2.0-OpenSSH_9.6\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "not HTTP"),
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: tea\r\nConnection: upgrade\r\n\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nshort", "closed"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nab", "closed"),
        (None, "closed"),
    ],
    ids=[
        "no HTTP",
        "two lengths",
        "two framings",
        "a bad chunk",
        "an upgrade",
        "a cut body",
        "a cut chunk",
        "none",
    ],
)
async def test_half_an_answer_is_none(answer: bytes | None, says: str) -> None:
    async with speaking(lambda *_: answer) as wire:
        pool = Pool(wire.url)
        with pytest.raises(Disconnected, match=says):
            await pool.exchange("GET", "/", {})
        with pytest.raises(Disconnected, match=says):
            async with pool.stream("GET", "/", {}) as (_, parts):
                async for _part in parts:
                    pass
        await pool.close()


@pytest.mark.parametrize(
    "extra", [b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", b"noise"], ids=["an answer", "noise"]
)
@pytest.mark.parametrize("late", [False, True], ids=["at once", "later"])
async def test_what_nobody_asked_for_is_nobodys_answer(extra: bytes, late: bool) -> None:
    """A second answer that waits in a connection would be given to whoever asks next."""
    connection, transport = scripted()
    reading = asyncio.ensure_future(connection.exchange(b"first"))
    await asyncio.sleep(0)
    receive(connection, OK if late else OK + extra)
    assert (await reading)[1] == b"ok"
    if late:
        receive(connection, extra)
    assert not connection.reusable
    assert not transport.open
    with pytest.raises(Disconnected):
        await connection.exchange(b"second")


async def test_an_answer_that_is_too_long_is_not_read_to_its_end() -> None:
    sent = 0

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(bytes(1 << 16))
            sent += 1 << 16
            await writer.drain()

    async with listening(endless) as port:
        pool = Pool(f"http://127.0.0.1:{port}")
        with pytest.raises(TooLong, match="longer than 100000 bytes"):
            await pool.exchange("GET", "/", {}, most=100_000)
        await pool.close()
    assert sent < 50 << 20


IN_CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"HTTP/1.1 200 OK\r\nWarning: ", b"x" * 1000),
        (b"HTTP/1.1 200 OK\r\n", b"x" * 1000),
        (b"HTTP/1.1 200 OK\r\n", b"Warning: x\r\n" * 100),
        (b"HTTP/1.1 200 ", b"x" * 1000),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 40),
        (IN_CHUNKS + b"2\r\nok\r\n0\r\nChecksum: ", b"x" * 1000),
        (IN_CHUNKS + b"2;why=", b"x" * 1000),
    ],
    ids=["a value", "a name", "headers", "a reason", "announcements", "a trailer", "an extension"],
)
async def test_a_head_without_an_end_is_not_kept(begin: bytes, more: bytes) -> None:
    """It is no part of the body, for whose length there is a limit."""
    sent = 0

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await read_head(reader)
        writer.write(begin)
        while True:
            writer.write(more)
            sent += len(more)
            await writer.drain()

    async with listening(endless) as port:
        pool = Pool(f"http://127.0.0.1:{port}")
        with pytest.raises(Disconnected, match="head is longer than"):
            await pool.exchange("GET", "/", {}, most=100)
        with pytest.raises(Disconnected, match="head is longer than"):
            async with pool.stream("GET", "/", {}) as (_, parts):
                async for _part in parts:
                    pass
        await pool.close()
    assert sent < 50 << 20


async def test_a_long_body_in_short_chunks_is_no_head() -> None:
    body = bytes(HEAD_LIMIT)
    async with speaking(lambda *_: IN_CHUNKS + chunked(body, size=1)) as wire:
        pool = Pool(wire.url)
        assert (await pool.exchange("GET", "/", {}))[1] == body
        await pool.close()


async def test_a_slow_reader_slows_the_server_and_loses_nothing() -> None:
    total = 64 << 20
    sent = 0

    async def much(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await read_head(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        while sent < total:
            writer.write(bytes(1 << 16))
            sent += 1 << 16
            await writer.drain()
        await reader.read()

    async with listening(much) as port:
        pool = Pool(f"http://127.0.0.1:{port}")
        async with pool.stream("GET", "/", {}) as (_, parts):
            received = len(await anext(parts))
            held = 0
            while sent > held:  # until the server gets no more rid of
                held = sent
                await asyncio.sleep(0.2)
            assert held < total / 2
            first = await anext(parts)
            assert len(first) <= READ_AHEAD + (1 << 19)
            received += len(first)
            async for part in parts:
                received += len(part)
        await pool.close()
    assert received == total
