"""A proxy in front of the real API server that does wrong what a test asks it to (see tests.faults.rules).

    async with FaultProxy.start(configuration) as proxy:
        async with Client(proxy.configuration, user_agent="…") as client: ...
        proxy.faults.add(Cut(half=True), times=1)

It speaks plain HTTP on loopback and adds its own credentials upstream, so `proxy.configuration` has none.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, assert_never

import aiohttp
from aiohttp import web

from kube import Configuration
from kube.watching import lines
from tests.faults.rules import (
    Answer,
    Cut,
    Delay,
    Drop,
    Duplicate,
    DuringWatch,
    EmptyWatch,
    End,
    ErrorEvent,
    Faults,
    Garbage,
    Inflate,
    Refuse,
    Silence,
    StaleList,
)

_HOP_BY_HOP = {"connection", "content-length", "host", "keep-alive", "transfer-encoding", "content-encoding"}


class Seen(NamedTuple):
    """A request that came by."""

    method: str
    path: str
    watch: bool
    query: dict[str, str]


class FaultProxy:
    """A running proxy: where to reach it, what it does wrong, and what came by."""

    def __init__(self, upstream: Configuration, session: aiohttp.ClientSession, faults: Faults) -> None:
        self.faults = faults
        self.seen: list[Seen] = []
        self._upstream = upstream
        self._session = session
        self._lists: dict[tuple[str, ...], bytes] = {}
        self._connections: set[asyncio.Transport] = set()
        self._address = ("", 0)

    @classmethod
    @asynccontextmanager
    async def start(cls, upstream: Configuration, faults: Faults | None = None) -> AsyncIterator[FaultProxy]:
        """Listen on a free port of the loopback interface until the block ends."""
        tls: Any = upstream.ssl_context or True
        connector = aiohttp.TCPConnector(limit=0, ssl=tls)
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(None)) as session:
            proxy = cls(upstream, session, faults or Faults())
            application = web.Application(client_max_size=64 << 20)
            application.router.add_route("*", "/{path:.*}", proxy._handle)
            # A silence would otherwise keep its handler, and so the end of the test, waiting.
            runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            proxy._address = runner.addresses[0]
            try:
                yield proxy
            finally:
                proxy.cut_all()
                await runner.cleanup()

    @property
    def configuration(self) -> Configuration:
        """How to reach the API server through this proxy."""
        return Configuration(server=f"http://{self._address[0]}:{self._address[1]}")

    def cut_all(self) -> None:
        """Break every connection that is open now, as a network that fails does."""
        for transport in list(self._connections):
            transport.abort()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        watch = request.query.get("watch") in ("true", "1")
        self.seen.append(Seen(request.method, request.path, watch, dict(request.query)))
        transport = request.transport
        if transport is not None:
            self._connections.add(transport)
        try:
            fault = self.faults.before(request.method, request.path, watch=watch)
            match fault:
                case Answer():
                    return _answer(fault)
                case Silence():
                    await asyncio.Event().wait()
                case EmptyWatch():
                    return web.Response(content_type="application/json")
                case Refuse(carried_out=True):
                    await self._exchange(request)
                    return _abort(request)
                case Refuse():
                    return _abort(request)
                case StaleList() if (
                    request.query.get("resourceVersion") and _collection(request) in self._lists
                ):
                    return web.Response(
                        body=self._lists[_collection(request)], content_type="application/json"
                    )
                case _:
                    pass
            return await (self._watch(request) if watch else self._exchange(request))
        finally:
            if transport is not None:
                self._connections.discard(transport)

    async def _headers(self, request: web.Request) -> dict[str, str]:
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP_BY_HOP}
        if self._upstream.authorization is not None:
            headers["Authorization"] = await self._upstream.authorization(None) or ""
        return headers

    async def _exchange(self, request: web.Request) -> web.Response:
        body = await request.read()
        async with self._session.request(
            request.method,
            self._upstream.server + request.path_qs,
            headers=await self._headers(request),
            data=body or None,
        ) as answer:
            payload = await answer.read()
            if request.method == "GET" and b'List"' in payload[:200]:
                self._lists.setdefault(_collection(request), payload)
            headers = {k: v for k, v in answer.headers.items() if k.lower() not in _HOP_BY_HOP}
            return web.Response(status=answer.status, body=payload, headers=headers)

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        url = self._upstream.server + request.path_qs
        async with self._session.get(url, headers=await self._headers(request)) as answer:
            if answer.status != 200:
                return web.Response(
                    status=answer.status, body=await answer.read(), content_type="application/json"
                )
            response = web.StreamResponse(headers={"Content-Type": "application/json"})
            await response.prepare(request)
            async for line in lines(answer.content.iter_any()):
                if not await self._pass_on(request, response, line):
                    break
            return response

    async def _pass_on(self, request: web.Request, response: web.StreamResponse, line: bytes) -> bool:
        """Send one event, or do wrong what is due; False ends the watch."""
        fault: DuringWatch | None = self.faults.during(request.path, _type_of(line))
        match fault:
            case None:
                await response.write(line + b"\n")
            case Drop():
                pass
            case Delay():
                await asyncio.sleep(fault.seconds)
                await response.write(line + b"\n")
            case Duplicate():
                await response.write(line + b"\n" + line + b"\n")
            case Cut():
                if fault.half:
                    await response.write(line[: len(line) // 2])
                _abort(request)
                return False
            case End():
                return False
            case ErrorEvent():
                status = _status(fault.code, fault.reason)
                await response.write(json.dumps({"type": "ERROR", "object": status}).encode() + b"\n")
                return False
            case Garbage():
                await response.write(b'{"type":"ADDED","object":{"metadata":\n')
            case Inflate():
                await response.write(_inflated(line, fault.size) + b"\n")
            case Silence():
                await asyncio.Event().wait()
            case _:
                assert_never(fault)
        return True


def _collection(request: web.Request) -> tuple[str, ...]:
    """What a list lists, whichever version of it is asked for."""
    selectors = (request.query.get("labelSelector", ""), request.query.get("fieldSelector", ""))
    return (request.path, *selectors, request.headers.get("Accept", ""))


def _answer(fault: Answer) -> web.Response:
    headers = {} if fault.retry_after is None else {"Retry-After": str(fault.retry_after)}
    if fault.html:
        page = "<html><body><h1>Bad gateway</h1></body></html>"
        return web.Response(status=fault.status, text=page, content_type="text/html", headers=headers)
    return web.json_response(_status(fault.status, fault.reason), status=fault.status, headers=headers)


def _status(code: int, reason: str) -> dict[str, Any]:
    message = "a fault that the test asked for"
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message,
    }


def _abort(request: web.Request) -> web.Response:
    if request.transport is not None:
        assert isinstance(request.transport, asyncio.Transport)
        request.transport.abort()
    return web.Response()


def _type_of(line: bytes) -> str:
    # The type comes first, as the API server writes it; parsing the whole of every line would be slow.
    return line[:40].split(b'"', 4)[3].decode()


def _inflated(line: bytes, size: int) -> bytes:
    event = json.loads(line)
    annotations = event["object"]["metadata"].setdefault("annotations", {})
    annotations["fault/size"] = "x" * max(0, size - len(line))
    return json.dumps(event).encode()
