"""A validation service that answers at once what a test wants, over real HTTP."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import msgspec
from aiohttp import web

from messages.validation import FetchRequest, FetchResponse, ValidateRequest, ValidateResponse, Verdict

VALID = ValidateResponse(
    verdict=Verdict.VALID,
    valid=True,
    circuits=1,
    qubits=2,
    clbits=2,
    depth=3,
    gates=2,
    gate_types={"h": 1, "cx": 1},
    circuit_hash="sha256:circuit",
    method="stabilizer",
    memory_bytes=64,
)

Answer = ValidateResponse | int


@dataclass
class ValidationStub:
    """`answer` decides on a request: a response, or an HTTP status. `slow` seconds pass first."""

    answer: Callable[[ValidateRequest], Answer] = lambda _: VALID
    fetched: Callable[[FetchRequest], FetchResponse | int] = lambda _: 500
    slow: float = 0.0
    url: str = ""
    validated: list[ValidateRequest] = field(default_factory=list)
    fetches: list[FetchRequest] = field(default_factory=list)

    async def validate(self, request: web.Request) -> web.Response:
        asked = msgspec.json.decode(await request.read(), type=ValidateRequest)
        self.validated.append(asked)
        await asyncio.sleep(self.slow)
        return _respond(self.answer(asked))

    async def fetch(self, request: web.Request) -> web.Response:
        asked = msgspec.json.decode(await request.read(), type=FetchRequest)
        self.fetches.append(asked)
        return _respond(self.fetched(asked))

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[ValidationStub]:
        app = web.Application()
        app.router.add_post("/validate", self.validate)
        app.router.add_post("/fetch", self.fetch)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()


def _respond(answer: msgspec.Struct | int) -> web.Response:
    if isinstance(answer, int):
        headers = {"Retry-After": "0.1"} if answer == 429 else {}
        return web.Response(status=answer, headers=headers)
    return web.Response(body=msgspec.json.encode(answer), content_type="application/json")


def content_fetched(content: bytes, revision: str | None = None) -> FetchResponse:
    return FetchResponse(
        content=content, hash=f"sha256:{hashlib.sha256(content).hexdigest()}", revision=revision
    )
