"""What a server that keeps quiet, lies or hangs up does to the client, mostly on virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web

from kube import (
    CONFIG_MAPS,
    ApiError,
    BadAnswer,
    Client,
    Conflict,
    DeadlineExceeded,
    Gone,
    InternalError,
    ServiceUnavailable,
    TooManyRequests,
    Unreachable,
    VersionTooLarge,
)
from kube.client import REQUEST_TIMEOUT
from kube.transport import LONGEST_WAIT
from tests.kube.servers import Recorded, serving, status

pytestmark = pytest.mark.looptime


async def never() -> None:
    await asyncio.Event().wait()


async def test_a_quiet_watch_is_left_alone(looptime: Any) -> None:
    """Clients with a default total or read timeout end every watch at five minutes, or at one."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await asyncio.sleep(590)
        await response.write(b'{"type":"BOOKMARK"}\n')
        return response

    async with (
        serving(answer) as there,
        Client(there, user_agent="test") as client,
        client.watch(CONFIG_MAPS, timeout_seconds=600) as events,
    ):
        assert [line async for line in events] == [b'{"type":"BOOKMARK"}']
    assert looptime >= 590


async def test_a_server_that_says_nothing_ends_a_call_at_its_deadline(looptime: Any) -> None:
    async def answer(_request: web.Request) -> web.StreamResponse:
        await never()
        raise AssertionError

    async with serving(answer) as there, Client(there, user_agent="test") as client:
        with pytest.raises(DeadlineExceeded):
            await client.get(CONFIG_MAPS, "any", "ns")
        assert looptime == pytest.approx(REQUEST_TIMEOUT, abs=1)
        with pytest.raises(DeadlineExceeded):
            async with client.watch(CONFIG_MAPS, timeout_seconds=600):
                raise AssertionError("it never began")
        assert looptime == pytest.approx(2 * REQUEST_TIMEOUT, abs=1)


async def test_an_answer_that_stops_halfway_ends_at_the_deadline_too() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b'{"kind":')
        await never()
        return response

    async with serving(answer) as there, Client(there, user_agent="test") as client:
        with pytest.raises(DeadlineExceeded):
            await client.get(CONFIG_MAPS, "any", "ns")


async def test_an_answer_that_is_cut_is_unreachable_and_never_half_an_object() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b'{"kind":"ConfigMap"}')
        assert request.transport is not None
        request.transport.close()
        return response

    async with serving(answer) as there, Client(there, user_agent="test") as client:
        with pytest.raises(Unreachable):
            await client.get(CONFIG_MAPS, "any", "ns")
        with pytest.raises(Unreachable):
            async with client.watch(CONFIG_MAPS, timeout_seconds=600) as events:
                assert [line async for line in events] == []


async def test_nobody_there_is_unreachable() -> None:
    async with serving(Recorded(lambda: web.json_response({})).answer) as there:
        pass
    async with Client(there, user_agent="test") as client:
        with pytest.raises(Unreachable):
            await client.get(CONFIG_MAPS, "any", "ns")
        with pytest.raises(Unreachable):
            async with client.watch(CONFIG_MAPS, timeout_seconds=600):
                pass


async def test_an_empty_answer_is_no_object() -> None:
    async with (
        serving(Recorded(lambda: web.Response(body=b"")).answer) as there,
        Client(there, user_agent="test") as client,
    ):
        with pytest.raises(BadAnswer):
            await client.get(CONFIG_MAPS, "any", "ns")


@pytest.mark.parametrize("body", [b'{"message":"\xff"}', b'{"a":' + b"[" * 100_000], ids=["bytes", "depths"])
async def test_what_is_no_text_or_has_no_bottom_is_no_object_either(body: bytes) -> None:
    """The decoder has other errors for these than for what is no JSON."""
    for code, error in ((200, BadAnswer), (500, InternalError)):
        server = Recorded(lambda code=code: web.Response(status=code, body=body))  # type: ignore[misc]
        async with serving(server.answer) as there, Client(there, user_agent="test") as client:
            with pytest.raises(error):
                await client.get(CONFIG_MAPS, "any", "ns")


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (lambda: status(410, "Expired"), Gone),
        (lambda: status(429, "TooManyRequests", {"Retry-After": "1"}), TooManyRequests),
        (lambda: web.Response(status=502, text="<html>Bad gateway</html>"), InternalError),
        (lambda: web.Response(status=302, headers={"Location": "/login"}), ApiError),
    ],
    ids=["expired", "throttled", "a proxy's page", "a login page"],
)
async def test_a_refused_watch_is_asked_for_once_and_then_its_callers_business(
    reply: Any, error: type[Exception]
) -> None:
    """Never the same expired version again, no page handed on as an event, no loop without a pause."""
    server = Recorded(reply)
    async with serving(server.answer) as there, Client(there, user_agent="test") as client:
        with pytest.raises(error):
            async with client.watch(CONFIG_MAPS, resource_version="5", timeout_seconds=600) as events:
                raise AssertionError([line async for line in events])
    assert len(server.requests) == 1


async def test_an_empty_watch_ends_and_is_not_opened_again_behind_the_callers_back() -> None:
    server = Recorded(lambda: web.Response(body=b""))
    async with (
        serving(server.answer) as there,
        Client(there, user_agent="test") as client,
        client.watch(CONFIG_MAPS, timeout_seconds=600) as events,
    ):
        assert [line async for line in events] == []
    assert len(server.requests) == 1


async def test_an_error_event_is_handed_on_as_it_came() -> None:
    line = b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}'
    server = Recorded(lambda: web.Response(body=line + b"\n"))
    async with (
        serving(server.answer) as there,
        Client(there, user_agent="test") as client,
        client.watch(CONFIG_MAPS, timeout_seconds=600) as events,
    ):
        assert [seen async for seen in events] == [line]


async def test_a_watch_says_what_it_wants() -> None:
    server = Recorded(lambda: web.Response(body=b""))
    async with (
        serving(server.answer) as there,
        Client(there, user_agent="test/1") as client,
        client.watch(
            CONFIG_MAPS,
            "ns",
            label_selector="a=b",
            field_selector="metadata.name=c",
            resource_version="7",
            timeout_seconds=300,
            send_initial_events=True,
            metadata_only=True,
        ),
    ):
        pass
    (request,) = server.requests
    assert request.path == "/api/v1/namespaces/ns/configmaps"
    assert dict(request.query) == {
        "watch": "true",
        "labelSelector": "a=b",
        "fieldSelector": "metadata.name=c",
        "resourceVersion": "7",
        "timeoutSeconds": "300",
        "allowWatchBookmarks": "true",
        "sendInitialEvents": "true",
        "resourceVersionMatch": "NotOlderThan",
    }
    assert "as=PartialObjectMetadata;" in request.headers["Accept"]
    assert request.headers["User-Agent"] == "test/1"


async def test_g45_waits_pass_on_the_clock_that_was_given(looptime: Any) -> None:
    replies = [status(429, "TooManyRequests", {"Retry-After": "7"}), web.json_response({"ok": True})]
    async with (
        serving(Recorded(lambda: replies.pop(0)).answer) as there,
        Client(there, user_agent="test") as client,
    ):
        assert await client.get(CONFIG_MAPS, "any", "ns") == {"ok": True}
    assert looptime == pytest.approx(7, abs=0.5)


@pytest.mark.parametrize("size", [10, 3 << 20], ids=["small", "large"])
async def test_g45_what_is_sent_again_is_sent_whole(size: int) -> None:
    """A body that was read from once would be empty the second time."""
    received: list[int] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        received.append(len(await request.read()))
        if len(received) < 3:
            return status(429, "TooManyRequests", {"Retry-After": "1"})
        return web.json_response({"ok": True})

    async with serving(answer) as there, Client(there, user_agent="test") as client:
        await client.create(CONFIG_MAPS, b"x" * size, "ns")
    assert received == [size] * 3


async def test_g45_a_wait_beyond_the_deadline_is_the_callers(looptime: Any) -> None:
    server = Recorded(lambda: status(503, "ServiceUnavailable", {"Retry-After": "45"}))
    async with serving(server.answer) as there, Client(there, user_agent="test") as client:
        with pytest.raises(ServiceUnavailable) as caught:
            await client.get(CONFIG_MAPS, "any", "ns")
    assert caught.value.retry_after == 45
    assert len(server.requests) == 1
    assert looptime < 1


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("45", 45),
        ("86400", LONGEST_WAIT),
        ("9" * 400, LONGEST_WAIT),
        ("-45", None),
        ("4.5", None),
        ("Fri, 31 Dec 2100 23:59:59 GMT", None),
        ("soon", None),
    ],
)
async def test_g45_a_wait_is_whole_seconds_and_bounded(header: str, wait: float | None) -> None:
    """As in client-go, whatever is no number of seconds leaves the wait to the caller's backoff."""
    server = Recorded(lambda: status(503, "ServiceUnavailable", {"Retry-After": header}))
    async with serving(server.answer) as there, Client(there, user_agent="test") as client:
        with pytest.raises(ServiceUnavailable) as caught:
            await client.get(CONFIG_MAPS, "any", "ns", timeout=30)
    assert caught.value.retry_after == wait
    assert len(server.requests) == 1


async def test_g1_a_version_that_is_too_large_is_not_waited_for(looptime: Any) -> None:
    """The server says "in a second" each time; after a restore from backup the version never comes."""
    body = {
        "kind": "Status",
        "code": 504,
        "reason": "Timeout",
        "message": "Timeout: Too large resource version: 900, current: 30",
        "details": {"causes": [{"reason": "ResourceVersionTooLarge"}], "retryAfterSeconds": 1},
    }
    server = Recorded(lambda: web.json_response(body, status=504, headers={"Retry-After": "1"}))
    async with serving(server.answer) as there, Client(there, user_agent="test") as client:
        with pytest.raises(VersionTooLarge) as caught:
            await client.list(CONFIG_MAPS, "ns", resource_version="900")
    assert caught.value.retry_after == 1
    assert len(server.requests) == 1
    assert looptime < 1


async def test_g45_a_conflict_is_not_waited_out() -> None:
    server = Recorded(lambda: status(409, "Conflict", {"Retry-After": "1"}))
    async with serving(server.answer) as there, Client(there, user_agent="test") as client:
        with pytest.raises(Conflict):
            await client.merge_patch(CONFIG_MAPS, "any", {}, "ns")
    assert len(server.requests) == 1


async def test_g45_a_wait_can_be_cancelled(looptime: Any) -> None:
    server = Recorded(lambda: status(429, "TooManyRequests", {"Retry-After": "20"}))
    async with serving(server.answer) as there, Client(there, user_agent="test") as client:
        call = asyncio.create_task(client.get(CONFIG_MAPS, "any", "ns"))
        await asyncio.sleep(5)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert looptime == pytest.approx(5, abs=0.5)


async def test_leaving_a_watch_closes_its_connection() -> None:
    gone = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"type":"ADDED"}\n')
        try:
            await never()
        finally:
            gone.set()
        return response

    async with serving(answer) as there, Client(there, user_agent="test") as client:
        async with client.watch(CONFIG_MAPS, timeout_seconds=600) as events:
            assert await anext(events) == b'{"type":"ADDED"}'
        async with asyncio.timeout(5):
            await gone.wait()


async def test_a_client_closes_once_and_says_so_afterwards() -> None:
    async with serving(Recorded(lambda: web.json_response({})).answer) as there:
        async with Client(there, user_agent="test") as client:
            await client.get(CONFIG_MAPS, "any", "ns")
        await client.__aexit__(None, None, None)
        with pytest.raises(RuntimeError, match="not open"):
            await client.get(CONFIG_MAPS, "any", "ns")
        with pytest.raises(RuntimeError, match="not open"):
            async with client.watch(CONFIG_MAPS, timeout_seconds=600):
                pass
