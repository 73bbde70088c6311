"""A gateway for executors under test, which speaks the protocol over real TLS."""

from __future__ import annotations

import asyncio
import secrets
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import msgspec
from aiohttp import web

from messages.work import Accepted, HandIn, Progress, Refusal, WorkOrder
from tests.executor.authority import Authority
from tests.executor.orders import SECONDS

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Planned = int | str | Refusal | tuple[int, Refusal]


@dataclass
class GatewayStub:
    """A gateway with one order. What `answers` holds for a path is given first, one for each request.

    An answer is a status, a Refusal (409, or the status beside it), or `hang` (never answers); whatever is left is done
    properly.
    """

    authority: Authority
    order: WorkOrder | None = None
    token: str = field(default_factory=lambda: "token-" + secrets.token_hex(20))
    answers: defaultdict[str, deque[Planned]] = field(default_factory=lambda: defaultdict(deque))
    requests: list[str] = field(default_factory=list)
    progress: list[Progress] = field(default_factory=list)
    results: list[HandIn] = field(default_factory=list)
    port: int = 0
    handed_out: float = 0.0
    handed_in: float = 0.0

    async def open(self) -> None:
        """Listen, on the same port as before if this is not the first time."""
        app = web.Application(client_max_size=32 << 20)
        app.router.add_get("/v1/work", self._work)
        app.router.add_post("/v1/progress", self._progress)
        app.router.add_post("/v1/result", self._result)
        app.middlewares.append(self._checked)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(
            self._runner, "127.0.0.1", self.port, ssl_context=self.authority.context, reuse_address=True
        )
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def close(self) -> None:
        """Be gone."""
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition` holds."""
        async with asyncio.timeout(SECONDS):
            while not condition():  # noqa: ASYNC110 - what is awaited happens in another process
                await asyncio.sleep(0.01)

    @web.middleware
    async def _checked(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.requests.append(request.path)
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.Response(status=401, text="who are you?")
        if self.answers[request.path]:
            answer = self.answers[request.path].popleft()
            if answer == "hang":
                await asyncio.sleep(SECONDS)
            if isinstance(answer, Refusal):
                return reply(answer, 413 if answer.reason == "ResultTooLarge" else 409)
            if isinstance(answer, tuple):
                return reply(answer[1], answer[0])
            return web.Response(status=int(answer))
        answered: web.StreamResponse = await handler(request)
        return answered

    async def _work(self, request: web.Request) -> web.Response:
        async with asyncio.timeout(SECONDS):
            while self.order is None:  # noqa: ASYNC110 - set by a test at any time
                await asyncio.sleep(0.002)
        self.handed_out = asyncio.get_running_loop().time()
        return reply(self.order)

    async def _progress(self, request: web.Request) -> web.Response:
        self.progress.append(msgspec.json.decode(await request.read(), type=Progress))
        return web.Response(status=204)

    async def _result(self, request: web.Request) -> web.Response:
        result = msgspec.json.decode(await request.read(), type=HandIn)
        self.handed_in = asyncio.get_running_loop().time()
        self.results.append(result)
        return reply(Accepted(location="bell-results"))


def reply(message: msgspec.Struct, status: int = 200) -> web.Response:
    """A message as an answer."""
    return web.Response(status=status, body=msgspec.json.encode(message), content_type="application/json")
