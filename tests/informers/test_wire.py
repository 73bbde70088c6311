"""Informer and client together against a server on real sockets that dies, storms and talks nonsense.

On virtual time: the hours and minutes here pass in moments.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from informers import Informer
from kube import Client
from kube.client import LIST_TIMEOUT
from tests.informers.scripted import (
    THINGS,
    NoJitter,
    Thing,
    added,
    bookmark,
    listed,
    names,
    running,
    thing,
)
from tests.kube.servers import serving

pytestmark = pytest.mark.looptime

Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]
PAGE = "<html><body><h1>502 Bad Gateway</h1></body></html>"


class Server:
    """Answers lists and watches with what the test sets; `asked` is what came, and when."""

    def __init__(self) -> None:
        self.asked: list[tuple[float, str]] = []
        self.open = 0
        self.list: Answering = self.lists(listed(10, thing("a", 3)))
        self.watch: Answering = self.silence()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        kind = "watch" if "watch" in request.query else "list"
        now = asyncio.get_running_loop().time()
        self.asked.append((now, f"{kind} {request.query.get('resourceVersion', '')}".strip()))
        return await (self.watch if kind == "watch" else self.list)(request)

    def lists(self, *bodies: bytes) -> Answering:
        """Each list in its turn; the last one again and again."""
        left = list(bodies)

        async def answer(_request: web.Request) -> web.StreamResponse:
            body = left.pop(0) if len(left) > 1 else left[0]
            return web.Response(body=body, content_type="application/json")

        return answer

    def silence(self, *lines: bytes) -> Answering:
        """A watch that tells these lines, and then neither tells nor closes."""

        async def answer(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            self.open += 1
            try:
                for line in lines:
                    await response.write(line + b"\n")
                await asyncio.Event().wait()
            finally:
                self.open -= 1
            return response

        return answer

    def page(self, status: int) -> Answering:
        """A proxy's page."""

        async def answer(_request: web.Request) -> web.StreamResponse:
            return web.Response(status=status, text=PAGE, content_type="text/html")

        return answer

    @property
    def requests(self) -> list[str]:
        return [what for _, what in self.asked]


@pytest.fixture
def server() -> Server:
    return Server()


@asynccontextmanager
async def following(server: Server, **options: Any) -> AsyncIterator[Informer[Thing]]:
    async with serving(server.answer) as there, Client(there, user_agent="test") as client:
        defaults: dict[str, Any] = {"watch_list": False, "rng": NoJitter(), "resync_period": None}
        informer = Informer(client, THINGS, Thing, **(defaults | options))
        async with running(informer):
            yield informer


async def test_g9_a_connection_that_dies_without_a_word_is_replaced_and_closed(server: Server) -> None:
    """As behind a load balancer that forgets idle connections and sends no reset."""
    server.watch = server.silence(bookmark(12))
    async with following(server) as informer:
        await asyncio.sleep(100)
        assert server.requests == ["list 0", "watch 10"]
        server.watch = server.silence(added("b", 13))
        await asyncio.sleep(60)
        assert names(informer) == ["a", "b"]
    assert server.requests == ["list 0", "watch 10", "watch 12"]
    assert server.asked[2][0] - server.asked[1][0] == pytest.approx(150, abs=2)
    assert server.open == 0


async def test_g9_a_watch_is_replaced_in_time_though_it_never_had_a_bookmark(server: Server) -> None:
    async with following(server):
        await asyncio.sleep(320)
        assert server.open == 1, "the old connection is closed"
    assert server.requests == ["list 0", "watch 10", "watch 10"]


async def test_a_list_that_is_never_answered_is_given_up_and_asked_again(server: Server) -> None:
    whole = server.list
    server.list = server.silence(b'{"kind":"ThingList","items":[')
    async with following(server) as informer:
        await asyncio.sleep(LIST_TIMEOUT - 1)
        assert server.requests == ["list 0"]
        server.list = whole
        await asyncio.sleep(5)
        assert names(informer) == ["a"]
    assert server.requests == ["list 0", "list 0", "watch 10"]


async def test_g10_watches_that_end_at_once_and_bring_nothing_are_no_storm(server: Server) -> None:
    """Thousands of requests a second where a client opens the next watch without a pause."""

    async def nothing(_request: web.Request) -> web.StreamResponse:
        return web.Response(body=b"", content_type="application/json")

    server.watch = nothing
    async with following(server):
        await asyncio.sleep(600)
    assert 20 < len(server.requests) < 60


@pytest.mark.parametrize("watch_list", [True, False])
async def test_g13_an_hour_of_a_proxys_pages_is_no_data_and_ends_in_a_current_cache(
    server: Server, watch_list: bool
) -> None:
    """Neither as an error nor as a success is a page ever an object, an event, or an empty collection."""
    server.list, server.watch = server.page(502), server.page(502)
    async with following(server, watch_list=watch_list) as informer:
        await asyncio.sleep(1800)
        server.list, server.watch = server.page(200), server.page(200)
        await asyncio.sleep(1800)
        assert not informer.synced
        assert len(server.requests) < 400
        server.list, server.watch = server.lists(listed(30, thing("b", 20))), server.silence()
        await asyncio.sleep(60)
        assert names(informer) == ["b"]


async def test_g1_a_restored_server_is_believed_at_once_and_not_waited_for(server: Server) -> None:
    """After a restore from backup the last version seen lies in a future that never comes."""
    refusal = {
        "kind": "Status",
        "code": 504,
        "reason": "Timeout",
        "message": "Timeout: Too large resource version: 900, current: 30",
        "details": {"causes": [{"reason": "ResourceVersionTooLarge"}], "retryAfterSeconds": 1},
    }

    async def list_(request: web.Request) -> web.StreamResponse:
        version = request.query.get("resourceVersion", "")
        if version == "900":
            return web.json_response(refusal, status=504, headers={"Retry-After": "1"})
        body = listed(30, thing("restored", 20)) if version == "" else listed(800, thing("lost", 700))
        return web.Response(body=body, content_type="application/json")

    expired = json.dumps({"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}})
    server.list = list_
    server.watch = server.silence(added("newest", 900), expired.encode())
    async with following(server) as informer:
        await asyncio.sleep(0.5)
        server.watch = server.silence()
        await asyncio.sleep(1)
        assert names(informer) == ["restored"]
    assert server.requests == ["list 0", "watch 800", "list 900", "list", "watch 30"]
    assert server.asked[3][0] - server.asked[2][0] < 0.5
