"""Credentials rotate without a request failing or a watch being dropped (G47)."""

from __future__ import annotations

import asyncio
from math import inf
from pathlib import Path

import pytest
from aiohttp import web

from kube import CONFIG_MAPS, Client, Configuration, Unauthorized
from kube.credentials import (
    FETCH_AGAIN,
    TOKEN_FILE_LIFETIME,
    Credential,
    Rotating,
    shortly_before,
    token_file,
)
from tests.kube.servers import serving, status
from tests.kube.wire import listening, read_head

pytestmark = pytest.mark.looptime


NOT_YOU = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\n{}"


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Issuer:
    """Gives out one token after the other, slowly; fails while it is told to."""

    def __init__(self, use_for: float = inf, says: str = "") -> None:
        self.use_for = use_for
        self.says = says
        self.asked = 0
        self.broken = False

    async def __call__(self) -> Credential:
        self.asked += 1
        await asyncio.sleep(1)
        if self.broken:
            raise Unauthorized(401, "NoCredentials", "the plugin crashed")
        return Credential(self.says or f"Bearer {self.asked}", self.use_for)


class Door:
    """Takes one token at a time and counts what it turns away."""

    def __init__(self, accepted: str) -> None:
        self.accepted = accepted
        self.refused = 0
        self.say = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != self.accepted:
            self.refused += 1
            return status(401, "Unauthorized")
        if "watch" not in request.query:
            return web.json_response({"ok": True})
        response = web.StreamResponse()
        await response.prepare(request)
        await self.say.wait()
        await response.write(b'{"type":"ADDED"}\n')
        return response


async def test_g47_a_refused_token_is_fetched_again_and_the_request_sent_once_more() -> None:
    door, issuer = Door("Bearer 1"), Issuer()
    async with (
        serving(door.answer, authorization=Rotating(issuer)) as there,
        Client(there, user_agent="test") as client,
    ):
        assert await client.get(CONFIG_MAPS, "x", "y") == {"ok": True}
        door.accepted = "Bearer 2"
        assert await client.get(CONFIG_MAPS, "x", "y") == {"ok": True}
        assert await client.get(CONFIG_MAPS, "x", "y") == {"ok": True}
    assert (door.refused, issuer.asked) == (1, 2)


async def test_g47_a_token_that_is_refused_again_is_not_tried_a_third_time() -> None:
    door, issuer = Door("none of these"), Issuer()
    async with (
        serving(door.answer, authorization=Rotating(issuer)) as there,
        Client(there, user_agent="test") as client,
    ):
        with pytest.raises(Unauthorized):
            await client.get(CONFIG_MAPS, "x", "y")
        assert door.refused == 2
        with pytest.raises(Unauthorized):
            async with client.watch(CONFIG_MAPS, timeout_seconds=60):
                pass
        assert door.refused == 4


async def test_g47_an_open_watch_lives_through_a_rotation() -> None:
    door, issuer = Door("Bearer 1"), Issuer()
    async with (
        serving(door.answer, authorization=Rotating(issuer)) as there,
        Client(there, user_agent="test") as client,
        client.watch(CONFIG_MAPS, timeout_seconds=60) as old,
    ):
        door.accepted = "Bearer 2"
        assert await client.get(CONFIG_MAPS, "x", "y") == {"ok": True}
        async with client.watch(CONFIG_MAPS, timeout_seconds=60) as new:
            door.say.set()
            assert [line async for line in new] == [b'{"type":"ADDED"}']
        assert [line async for line in old] == [b'{"type":"ADDED"}']
    assert door.refused == 1


async def test_g47_a_watch_that_was_refused_keeps_no_connection_while_the_next_one_lasts() -> None:
    gone = asyncio.Event()

    async def door(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await read_head(reader):
            old = "Bearer 1\r\n" in head
            writer.write(NOT_YOU if old else b'HTTP/1.1 200 OK\r\n\r\n{"type":"ADDED"}\n')
        gone.set()

    async with (
        listening(door) as port,
        Client(
            Configuration(f"http://127.0.0.1:{port}", authorization=Rotating(Issuer())), user_agent="test"
        ) as client,
        client.watch(CONFIG_MAPS, timeout_seconds=60) as lines,
    ):
        assert await anext(lines) == b'{"type":"ADDED"}'
        async with asyncio.timeout(30):
            await gone.wait()


async def test_g47_many_that_are_refused_at_once_fetch_one_token() -> None:
    door, issuer = Door("Bearer 2"), Issuer()
    async with (
        serving(door.answer, authorization=Rotating(issuer)) as there,
        Client(there, user_agent="test") as client,
        asyncio.TaskGroup() as tasks,
    ):
        for _ in range(20):
            tasks.create_task(client.get(CONFIG_MAPS, "x", "y"))
    assert issuer.asked == 2


@pytest.mark.parametrize("broken", [False, True], ids=["the same again", "none"])
async def test_g47_many_that_are_refused_at_once_ask_once_though_it_is_of_no_use(broken: bool) -> None:
    """Each would run the plugin again, one after the other, until its own deadline."""
    issuer = Issuer(says="Bearer 1")
    authorization = Rotating(issuer)
    assert await authorization(None) == "Bearer 1"
    issuer.broken = broken
    asked = [authorization("Bearer 1") for _ in range(20)]
    for answer in await asyncio.gather(*asked, return_exceptions=True):
        assert isinstance(answer, Unauthorized) if broken else answer == "Bearer 1"
    assert issuer.asked == 2
    # What was of no use once may be of use later.
    issuer.broken, issuer.says = False, ""
    assert await authorization("Bearer 1") == "Bearer 3"


async def test_g47_who_gives_up_waiting_for_a_token_leaves_the_others_theirs() -> None:
    issuer = Issuer()
    authorization = Rotating(issuer)
    waiting = [asyncio.ensure_future(authorization(None)) for _ in range(3)]
    await asyncio.sleep(0.5)
    waiting[0].cancel()
    assert await asyncio.gather(*waiting[1:]) == ["Bearer 2"] * 2


async def test_g47_a_token_is_renewed_before_it_expires() -> None:
    clock, issuer = Clock(), Issuer(use_for=shortly_before(600))
    authorization = Rotating(issuer, clock=clock)
    assert await authorization(None) == "Bearer 1"
    clock.now = 539
    assert await authorization(None) == "Bearer 1"
    clock.now = 541
    assert await authorization(None) == "Bearer 2"


@pytest.mark.parametrize(
    ("expiry", "use_for"), [(3600, 3540), (100, 80), (10, 8), (1, FETCH_AGAIN), (-30, FETCH_AGAIN)]
)
def test_a_short_life_or_a_wrong_clock_does_not_fetch_at_every_request(expiry: float, use_for: float) -> None:
    assert shortly_before(expiry) == use_for


async def test_g47_a_renewal_that_fails_leaves_what_we_have_in_use() -> None:
    clock, issuer = Clock(), Issuer(use_for=100)
    authorization = Rotating(issuer, clock=clock)
    assert await authorization(None) == "Bearer 1"
    issuer.broken = True
    clock.now = 101
    assert await authorization(None) == "Bearer 1"
    assert await authorization(None) == "Bearer 1"
    assert issuer.asked == 2
    # Refused as well, it is of no use to anybody.
    with pytest.raises(Unauthorized, match="the plugin crashed"):
        await authorization("Bearer 1")
    issuer.broken = False
    assert await authorization("Bearer 1") == "Bearer 4"


async def test_g47_a_token_file_is_read_again_after_a_minute_or_a_refusal(tmp_path: Path) -> None:
    clock, token = Clock(), tmp_path / "token"
    token.write_text("one\n")
    authorization = token_file(token, clock)
    assert await authorization(None) == "Bearer one"
    token.write_text("two")
    assert await authorization(None) == "Bearer one"
    assert await authorization("Bearer one") == "Bearer two"
    token.write_text("three")
    clock.now += 60
    assert await authorization(None) == "Bearer three"


async def test_g47_a_token_file_that_is_being_replaced_is_no_failure(tmp_path: Path) -> None:
    clock, token = Clock(), tmp_path / "token"
    token.write_text("one")
    authorization = token_file(token, clock)
    assert await authorization(None) == "Bearer one"
    for content in (None, ""):
        token.unlink() if content is None else token.write_text(content)
        clock.now += TOKEN_FILE_LIFETIME
        assert await authorization(None) == "Bearer one"


async def test_a_pod_without_a_token_is_told_so(tmp_path: Path) -> None:
    door = Door("Bearer one")
    async with (
        serving(door.answer, authorization=token_file(tmp_path / "token")) as there,
        Client(there, user_agent="test") as client,
    ):
        with pytest.raises(Unauthorized, match="cannot read the token"):
            await client.get(CONFIG_MAPS, "x", "y")
    assert door.refused == 0
