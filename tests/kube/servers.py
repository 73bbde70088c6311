"""Servers that answer as a test scripts it, where the wire matters and a real API server cannot be made to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from kube import Configuration

Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(answer: Answering, **options: Any) -> AsyncIterator[Configuration]:
    """A server on a free loopback port that gives every request to `answer`, and how to reach it."""
    application = web.Application(client_max_size=64 << 20)
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        yield Configuration(f"http://{host}:{port}", **options)
    finally:
        await runner.cleanup()


class Recorded:
    """Answers every request with what `reply` makes, and keeps the requests."""

    def __init__(self, reply: Callable[[], web.StreamResponse]) -> None:
        self.requests: list[web.Request] = []
        self._reply = reply

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        return self._reply()


def status(code: int, reason: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """A refusal as the API server words it."""
    body = {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason}
    return web.json_response(body, status=code, headers=headers)
