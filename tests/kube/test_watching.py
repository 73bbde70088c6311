"""Watches: lines of any size over any chunks, cuts, and typed refusals at the start."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from kube import CONFIG_MAPS, Client, Configuration, Gone, TooManyRequests, Unreachable
from kube.credentials import token_file
from kube.watching import LINE_LIMIT, LineTooLong, lines
from tests.faults.proxy import FaultProxy
from tests.faults.rules import Answer, Cut, Inflate, Matching


async def chunked(chunks: list[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


@given(texts=st.lists(st.text(min_size=1).filter(lambda t: t.strip() and "\n" not in t)), data=st.data())
async def test_h5_lines_do_not_depend_on_where_chunks_end(texts: list[str], data: st.DataObject) -> None:
    whole = b"".join(text.encode() + b"\n" for text in texts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    bounds = [0, *cuts, len(whole)]
    chunks = [whole[a:b] for a, b in pairwise(bounds)]
    assert [line async for line in lines(chunked(chunks))] == [text.encode() for text in texts]


async def test_g13_a_last_line_without_its_end_is_not_handed_on() -> None:
    assert [line async for line in lines(chunked([b'{"a":1}\n{"b":']))] == [b'{"a":1}']


async def test_a_line_that_no_object_can_have_ends_the_stream() -> None:
    chunk = b"x" * (1 << 20)
    with pytest.raises(LineTooLong):
        async for _ in lines(chunked([chunk] * (LINE_LIMIT // len(chunk) + 1))):
            pass


@pytest.fixture
async def proxied(fault_proxy: FaultProxy) -> AsyncIterator[Client]:
    async with Client(fault_proxy.configuration, user_agent="test") as client:
        yield client


@pytest.mark.cluster
async def test_events_come_as_raw_lines(client: Client, namespace: str) -> None:
    body = {"metadata": {"name": "seen"}}
    async with client.watch(CONFIG_MAPS, namespace, resource_version="0", timeout_seconds=30) as events:
        await client.create(CONFIG_MAPS, body, namespace)
        async for line in events:
            event = msgspec.json.decode(line)
            if event["object"]["metadata"].get("name") == "seen":
                assert event["type"] == "ADDED"
                return
    raise AssertionError("the watch ended before the event came")


@pytest.mark.cluster
async def test_a_line_above_four_mebibytes_arrives_whole(
    proxied: Client, fault_proxy: FaultProxy, namespace: str
) -> None:
    fault_proxy.faults.add(Inflate(5 << 20), times=1)
    async with proxied.watch(CONFIG_MAPS, namespace, resource_version="0", timeout_seconds=30) as events:
        line = await anext(events)
    assert len(line) >= 5 << 20
    assert msgspec.json.decode(line)["type"] == "ADDED"


@pytest.mark.cluster
async def test_a_cut_in_the_middle_of_a_line_raises_and_hands_on_no_half(
    proxied: Client, fault_proxy: FaultProxy, namespace: str
) -> None:
    fault_proxy.faults.add(Cut(half=True), times=1)
    handed_on = []
    with pytest.raises(Unreachable):
        async with proxied.watch(CONFIG_MAPS, namespace, resource_version="0", timeout_seconds=30) as events:
            async for line in events:
                handed_on.append(line)
    assert handed_on == []


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("status", "reason", "error"), [(410, "Expired", Gone), (429, "TooManyRequests", TooManyRequests)]
)
async def test_a_watch_that_is_refused_says_why(
    proxied: Client, fault_proxy: FaultProxy, namespace: str, status: int, reason: str, error: type[Exception]
) -> None:
    fault_proxy.faults.add(Answer(status, reason), when=Matching(watch=True))
    with pytest.raises(error):
        async with proxied.watch(CONFIG_MAPS, namespace, timeout_seconds=30):
            pass


class TokenServer:
    """Takes one token at a time and counts what it is asked."""

    def __init__(self) -> None:
        self.accepted = "one"
        self.refused = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {self.accepted}":
            self.refused += 1
            return web.json_response({"kind": "Status", "reason": "Unauthorized", "code": 401}, status=401)
        if "watch" in request.query:
            response = web.StreamResponse()
            await response.prepare(request)
            await response.write(b'{"type":"ADDED"}\n')
            self.release = request
            return response
        return web.json_response({"ok": True})


async def test_g47_a_token_that_was_rotated_is_read_again_and_sent_once(tmp_path: Path) -> None:
    server = TokenServer()
    token = tmp_path / "token"
    token.write_text("one")
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    moments = [0.0]
    configuration = Configuration(
        f"http://{host}:{port}", authorization=token_file(token, clock=lambda: moments[0])
    )
    try:
        async with Client(configuration, user_agent="test") as client:
            assert await client.get(CONFIG_MAPS, "x", "y") == {"ok": True}
            # The server takes only the new token; the one in memory is refused once, and never sent again.
            server.accepted = "two"
            token.write_text("two")
            assert await client.get(CONFIG_MAPS, "x", "y") == {"ok": True}
            assert await client.get(CONFIG_MAPS, "x", "y") == {"ok": True}
            assert server.refused == 1
            # The same for a watch that is opened after the change.
            server.accepted = "three"
            token.write_text("three")
            async with client.watch(CONFIG_MAPS, timeout_seconds=5) as events:
                assert [line async for line in events] == [b'{"type":"ADDED"}']
            # Without a refusal, a file is read again after a minute.
            token.write_text("four")
            server.accepted = "four"
            moments[0] += 61
            assert await client.get(CONFIG_MAPS, "x", "y") == {"ok": True}
            assert server.refused == 2
    finally:
        await runner.cleanup()
