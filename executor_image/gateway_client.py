"""The executor's side of the gateway: ask for work, report progress, hand in, and never give up in between."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http import HTTPStatus

import aiohttp
import msgspec

from executor_image.settings import Settings
from messages.failure import ExecutorReason
from messages.unreadable import UNREADABLE
from messages.work import WORK_POLL_SECONDS, Accepted, HandIn, Progress, Refusal, WorkOrder

log = logging.getLogger("executor")

REQUEST_SECONDS = 30.0
"""How long any request but the long poll may take."""

FIRST_DELAY, LONGEST_DELAY = 0.2, 10.0
"""Seconds between tries while the gateway is away: doubled from the first to the longest, ± 25 %."""

REFUSED_SECONDS = 120.0
"""How long a result is handed in again that the cluster refuses: other jobs end meanwhile and free a quota. Beyond
that somebody has to change something, who can only do so once the job says what."""

_BODY_LIMIT = 16 << 20
"""Bytes of an answer that are read: far above the largest source."""


class GatewayRefused(Exception):
    """The gateway will not go on with this attempt: 409 or 413; or 503, when the cluster has refused for too long."""

    def __init__(self, status: int, refusal: Refusal) -> None:
        super().__init__(f"{refusal.reason}: {refusal.message}")
        self.status = status
        self.refusal = refusal


class _TryAgain(Exception):
    """The request failed in a way that time can mend."""


class _NotTaken(_TryAgain):
    """The cluster refuses the result: time may mend that, or not."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


@dataclass(frozen=True)
class GatewayClient:
    """Requests with the pod's token, which is read anew for each: the kubelet rotates it."""

    settings: Settings
    session: aiohttp.ClientSession
    tls: ssl.SSLContext
    sleep: Callable[[float], Awaitable[None]] = field(default=asyncio.sleep)
    uniform: Callable[[float, float], float] = field(default=random.uniform)
    monotonic: Callable[[], float] = field(default=time.monotonic)

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncIterator[GatewayClient]:
        """Open a client. Raises ssl.SSLError if the CA cannot be read."""
        tls = ssl.create_default_context(cadata=settings.gateway_ca)
        connector = aiohttp.TCPConnector(limit=2)
        async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
            yield cls(settings, session, tls)

    async def next_order(self) -> WorkOrder:
        """Wait for work, however long that takes.

        Raises:
            GatewayRefused: if this pod will get none.
        """
        while True:
            status, body = await self._until_answered("GET", "/v1/work", None, WORK_POLL_SECONDS + 10)
            if status == HTTPStatus.OK:
                return msgspec.json.decode(body, type=WorkOrder)

    async def report(self, progress: Progress) -> None:
        """Send progress once. An unreachable gateway is no error: the next report may come through.

        Raises:
            GatewayRefused: if the attempt is over.
        """
        try:
            await self._once("POST", "/v1/progress", msgspec.json.encode(progress), REQUEST_SECONDS)
        except _TryAgain as error:
            log.warning("progress was not taken: %s", error)

    async def hand_in(self, result: HandIn, *, deadline: float = math.inf) -> Accepted:
        """Hand in a result and keep at it until the gateway has stored or refused it.

        `deadline` is when the attempt's time is over, on this client's clock: whoever ends the attempt then must find
        that it has said why its result is not taken.

        Raises:
            GatewayRefused: if it was refused for good, or the cluster is against it for too long.
        """
        _, body = await self._until_answered(
            "POST", "/v1/result", msgspec.json.encode(result), REQUEST_SECONDS * 2, deadline
        )
        return msgspec.json.decode(body, type=Accepted)

    async def _until_answered(
        self, method: str, path: str, body: bytes | None, seconds: float, deadline: float = math.inf
    ) -> tuple[int, bytes]:
        delay = FIRST_DELAY
        give_up: float | None = None
        while True:
            wait = delay * self.uniform(0.75, 1.25)
            try:
                return await self._once(method, path, body, seconds)
            except _TryAgain as error:
                if isinstance(error, _NotTaken):
                    now = self.monotonic()
                    if give_up is None:
                        give_up = min(now + REFUSED_SECONDS, deadline)
                    if now + wait > give_up:
                        raise GatewayRefused(HTTPStatus.SERVICE_UNAVAILABLE, error.refusal) from error
                log.warning("%s %s: %s; trying again", method, path, error)
            await self.sleep(wait)
            delay = min(delay * 2, LONGEST_DELAY)

    async def _once(self, method: str, path: str, body: bytes | None, seconds: float) -> tuple[int, bytes]:
        try:
            token = self.settings.token_file.read_text().strip()
        except OSError as error:
            raise _TryAgain(f"no token: {error}") from error
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        try:
            async with self.session.request(
                method,
                self.settings.gateway_url + path,
                data=body,
                headers=headers,
                ssl=self.tls,
                server_hostname=self.settings.gateway_server_name,
                timeout=aiohttp.ClientTimeout(total=seconds),
                allow_redirects=False,
            ) as response:
                content = await _read(response)
                status = response.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _TryAgain(f"{type(error).__name__}: {error}") from error
        if status in (HTTPStatus.OK, HTTPStatus.NO_CONTENT):
            return status, content
        if status in (HTTPStatus.CONFLICT, HTTPStatus.REQUEST_ENTITY_TOO_LARGE):
            raise GatewayRefused(status, _refusal(status, content))
        if status == HTTPStatus.SERVICE_UNAVAILABLE and (refusal := _not_taken(content)) is not None:
            raise _NotTaken(refusal)
        raise _TryAgain(f"the gateway answered {status}: {content[:200].decode(errors='replace')}")


async def _read(response: aiohttp.ClientResponse) -> bytes:
    content = await response.content.read(_BODY_LIMIT)
    while chunk := await response.content.read(_BODY_LIMIT - len(content) + 1):
        content += chunk
        if len(content) > _BODY_LIMIT:
            raise _TryAgain(f"the answer is longer than {_BODY_LIMIT} bytes")
    return content


def _not_taken(content: bytes) -> Refusal | None:
    """The cluster's refusal of a result; None if the gateway, or what is before it, is merely not up to it."""
    try:
        refusal = msgspec.json.decode(content, type=Refusal)
    except UNREADABLE:
        return None
    return refusal if refusal.reason == ExecutorReason.OUTPUT_CONFLICT else None


def _refusal(status: int, content: bytes) -> Refusal:
    try:
        return msgspec.json.decode(content, type=Refusal)
    except UNREADABLE:
        # Not from a handler: the server itself cuts off bodies beyond its limit, in plain text.
        reason = "ResultTooLarge" if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE else "AttemptOver"
        text = content[:200].decode(errors="replace")
        return Refusal(reason=reason, message=f"the gateway answered {status}: {text}")
