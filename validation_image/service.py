"""The HTTP face of the service: `messages.validation` says what goes in and out."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

import msgspec
import structlog
from aiohttp import web
from aiohttp.abc import AbstractResolver
from aiohttp.typedefs import Handler
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from messages.unreadable import UNREADABLE
from messages.validation import FetchRequest, ValidateRequest
from messages.version import VERSION
from sandbox import Layer, SandboxUnavailable, Zygote, ZygoteFailed
from validation_image.admission import Admission, Busy
from validation_image.metrics import Metrics
from validation_image.readiness import probe
from validation_image.settings import Settings
from validation_image.sources import Sources
from validation_image.validate import validate

REQUEST_BYTES = 4 << 20
"""A source of 1 MiB in base64, with room for the longest list of parameters."""

_RETRY_SECONDS = 1

T = TypeVar("T")
log = structlog.get_logger("validation")


class Service:
    """Handlers of the routes; `application()` is what a server runs."""

    def __init__(self, settings: Settings, zygote: Zygote, resolver: AbstractResolver | None = None) -> None:
        self._settings = settings
        self._zygote = zygote
        self._sources = Sources(settings, zygote, resolver)
        self._validations = Admission(settings.concurrency, settings.queue)
        self._fetches = Admission(settings.fetch_concurrency, settings.fetch_queue)
        self._metrics = Metrics()
        self._metrics.watch("/validate", self._validations)
        self._metrics.watch("/fetch", self._fetches)

    def application(self) -> web.Application:
        """The routes."""
        application = web.Application(client_max_size=REQUEST_BYTES, middlewares=[_say_what_is_wrong])
        application.add_routes(
            [
                web.post("/validate", self.validate),
                web.post("/fetch", self.fetch),
                web.get("/health", self.health),
                web.get("/ready", self.ready),
                web.get("/metrics", self.metrics),
            ]
        )
        return application

    async def validate(self, request: web.Request) -> web.Response:
        """POST /validate."""
        asked = await _read(request, ValidateRequest)
        if (asked.code is None) == (asked.source is None):
            raise _wrong(400, "set exactly one of `code` (text) and `source` (base64)")
        async with self._turn(request, self._validations):
            started = time.monotonic()
            response, outcome = await validate(asked, self._zygote, self._settings)
            seconds = time.monotonic() - started
        reason = response.reason or ""
        self._metrics.validations.labels(response.verdict, reason).inc()
        self._metrics.validation_seconds.observe(seconds)
        self._metrics.validation_memory.observe(outcome.peak_rss_bytes)
        log.info("validated", verdict=response.verdict, reason=reason, seconds=round(seconds, 4))
        return _json(response)

    async def fetch(self, request: web.Request) -> web.Response:
        """POST /fetch."""
        asked = await _read(request, FetchRequest)
        if (asked.url is None) == (asked.git is None):
            raise _wrong(400, "set exactly one of `url` and `git`")
        async with self._turn(request, self._fetches):
            started = time.monotonic()
            response = await self._sources.fetch(asked)
            seconds = time.monotonic() - started
        kind, reason = "url" if asked.url is not None else "git", response.reason or ""
        self._metrics.fetches.labels(kind, reason).inc()
        self._metrics.fetch_seconds.observe(seconds)
        log.info("fetched", kind=kind, reason=reason, seconds=round(seconds, 4))
        return _json(response)

    async def health(self, _: web.Request) -> web.Response:
        """GET /health: the event loop runs."""
        return web.json_response({"healthy": True, "version": VERSION})

    async def ready(self, _: web.Request) -> web.Response:
        """GET /ready: which layers of the sandbox hold; 503 if a required one does not."""
        readiness = await probe(self._zygote, self._settings)
        self._metrics.show_layers(readiness.layers)
        body = {
            "ready": readiness.problem is None,
            "sandbox": {layer: layer in readiness.layers for layer in Layer},
            "problem": readiness.problem,
        }
        return web.json_response(body, status=200 if readiness.problem is None else 503)

    async def metrics(self, _: web.Request) -> web.Response:
        """GET /metrics, for Prometheus."""
        return web.Response(
            body=generate_latest(self._metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )

    @asynccontextmanager
    async def _turn(self, request: web.Request, admission: Admission) -> AsyncIterator[None]:
        try:
            async with admission.turn():
                yield
        except Busy as busy:
            self._metrics.refused.labels(request.path).inc()
            raise _wrong(429, str(busy), retry_after=busy.retry_after) from None
        except SandboxUnavailable as missing:
            raise _wrong(503, str(missing)) from None
        except ZygoteFailed as failure:
            log.warning("zygote failed", cause=str(failure))
            raise _wrong(503, str(failure), retry_after=_RETRY_SECONDS) from None


async def _read(request: web.Request, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except UNREADABLE as error:
        raise _wrong(400, f"{error}") from None


def _json(message: msgspec.Struct) -> web.Response:
    return web.Response(body=msgspec.json.encode(message), content_type="application/json")


def _wrong(status: int, message: str, retry_after: int | None = None) -> web.HTTPException:
    kinds = {
        400: web.HTTPBadRequest,
        429: web.HTTPTooManyRequests,
        503: web.HTTPServiceUnavailable,
    }
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return kinds[status](text=message, headers=headers)


@web.middleware
async def _say_what_is_wrong(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error is JSON with one field, `error`."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        body = msgspec.json.encode({"error": error.text or error.reason})
        headers = {k: v for k, v in error.headers.items() if k in ("Retry-After", "Allow")}
        return web.Response(status=error.status, body=body, content_type="application/json", headers=headers)
