"""One HTTP exchange with the API server: a deadline, credentials, waits it asks for, typed errors."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

import aiohttp
import msgspec
from aiohttp.connector import NEEDS_CLEANUP_CLOSED

from kube.config import Configuration
from kube.errors import ApiError, DeadlineExceeded, Unauthorized, Unreachable, VersionTooLarge, error_of
from kube.objects import Status

RETRIES = 10
"""How often a request is repeated because the server said when to come back (G45; client-go's number)."""

LONGEST_WAIT = 300.0
"""Seconds; whoever asks for a longer wait is asked again after this one. A maintenance page that says "in a day"
must not blind a cache for a day, nor look like a loop that is stuck."""

CONNECTIONS = 64
"""Requests that are under way at once. Watches have connections of their own and never wait for these."""

CONNECT_TIMEOUT = 10.0
"""Seconds to connect: a watch has no deadline as a whole, but a silent address is found out."""

_PIECE = 1 << 19

_NOT_OPEN = "the client is not open; use it as an async context manager"

_status = msgspec.json.Decoder(Status)


class Transport:
    """Two connection pools to one API server; nothing here knows what a resource is."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        user_agent: str,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._configuration = configuration
        self._headers = {"User-Agent": user_agent, "Accept": "application/json", **configuration.headers}
        self._sleep = sleep
        self._requests: aiohttp.ClientSession | None = None
        self._watches: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make the pools; connections are made when they are needed."""
        self._requests = self._session(CONNECTIONS)
        self._watches = self._session(0)

    async def close(self) -> None:
        """Close both pools and every connection in them, and those that still wait for the other side's goodbye."""
        for session in (self._requests, self._watches):
            if session is not None:
                await session.close()
        self._requests = self._watches = None
        await asyncio.sleep(0)  # a connection that is given up is closed in the loop's next turn

    async def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
        accept: str | None = None,
        timeout: float,
    ) -> bytes:
        """Send one request and return the body of its answer. `timeout` (s) spans all its repetitions.

        Raises:
            ApiError: as the class that fits; DeadlineExceeded and Unreachable where there was no answer.
        """
        headers = dict(self._headers)
        if body is not None:
            headers["Content-Type"] = content_type
        if accept is not None:
            headers["Accept"] = accept
        refused: str | None = None
        waits = 0
        deadline = _now() + timeout
        try:
            async with asyncio.timeout_at(deadline):
                while True:
                    sent = await self._authorize(headers, refused)
                    try:
                        return await self._exchange(method, path, params, body, headers)
                    except Unauthorized:
                        if refused is not None or sent is None:
                            raise
                        refused = sent
                    except ApiError as error:
                        wait = _wait(error)
                        # A wait beyond the deadline is the caller's: it is told how long.
                        if wait is None or waits == RETRIES or _now() + wait >= deadline:
                            raise
                        waits += 1
                        await self._sleep(wait)
        except TimeoutError:
            raise _late(method, path, timeout) from None

    async def _exchange(
        self,
        method: str,
        path: str,
        params: Mapping[str, str] | None,
        body: bytes | None,
        headers: dict[str, str],
    ) -> bytes:
        if self._requests is None:
            raise RuntimeError(_NOT_OPEN)
        to = self._configuration
        try:
            async with self._requests.request(
                method,
                to.server + path,
                params=params,
                data=_payload(body),
                headers=headers,
                allow_redirects=False,
                server_hostname=to.server_name,
                proxy=to.proxy,
            ) as response:
                payload = await response.read()
                if response.status >= 300:
                    raise _failure(response, payload)
                return payload
        except (aiohttp.ClientError, OSError) as error:
            raise _unreachable(method, path, error) from error

    @asynccontextmanager
    async def stream(
        self, path: str, *, params: Mapping[str, str], accept: str | None = None, timeout: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """A GET whose body is read as it comes, on a connection of its own.

        `timeout` (s) is for the answer to begin; how long the body may be silent is the reader's business.

        Raises:
            ApiError: at the start, as `request`; `Unreachable` also later, when the stream is cut.
        """
        headers = dict(self._headers)
        if accept is not None:
            headers["Accept"] = accept
        try:
            async with asyncio.timeout(timeout):
                response = await self._begin(path, params, headers)
        except TimeoutError:
            raise _late("GET", path, timeout) from None
        async with response, aclosing(_chunks(response, path)) as chunks:
            yield chunks

    async def _begin(
        self, path: str, params: Mapping[str, str], headers: dict[str, str]
    ) -> aiohttp.ClientResponse:
        if self._watches is None:
            raise RuntimeError(_NOT_OPEN)
        to = self._configuration
        refused: str | None = None
        while True:
            sent = await self._authorize(headers, refused)
            try:
                response = await self._watches.get(
                    to.server + path,
                    params=params,
                    headers=headers,
                    allow_redirects=False,
                    server_hostname=to.server_name,
                    proxy=to.proxy,
                )
                if response.status < 300:
                    return response
                async with response:
                    failure = _failure(response, await response.read())
            except (aiohttp.ClientError, OSError) as error:
                raise _unreachable("GET", path, error) from error
            if not isinstance(failure, Unauthorized) or refused is not None or sent is None:
                raise failure
            refused = sent

    async def _authorize(self, headers: dict[str, str], refused: str | None) -> str | None:
        if self._configuration.authorization is None:
            return None
        value = await self._configuration.authorization(refused)
        if value is not None:
            headers["Authorization"] = value
        return value

    def _session(self, limit: int) -> aiohttp.ClientSession:
        tls: Any = self._configuration.ssl_context if self._configuration.ssl_context is not None else True
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=limit,
                ssl=tls,
                keepalive_timeout=75.0,
                # A server that is frozen never answers the end of TLS: after 2 s that is not waited for any more.
                enable_cleanup_closed=NEEDS_CLEANUP_CLOSED,
            ),
            timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=CONNECT_TIMEOUT),
            cookie_jar=aiohttp.DummyCookieJar(),
        )


async def _chunks(response: aiohttp.ClientResponse, path: str) -> AsyncGenerator[bytes, None]:
    try:
        async for chunk in response.content.iter_any():
            yield chunk
    except (aiohttp.ClientError, OSError) as error:
        raise _unreachable("GET", path, error) from error


def _now() -> float:
    """The loop's time, which deadlines are in."""
    return asyncio.get_running_loop().time()


def _unreachable(method: str, path: str, error: Exception) -> Unreachable:
    return Unreachable(0, "Unreachable", f"{method} {path}: {str(error) or type(error).__name__}")


def _late(method: str, path: str, timeout: float) -> DeadlineExceeded:
    return DeadlineExceeded(0, "DeadlineExceeded", f"{method} {path}: no answer in {timeout:g} s")


def _payload(body: bytes | None) -> bytes | io.BytesIO | None:
    """aiohttp sends a large body in one piece, and warns of it, unless it is given a file to read from."""
    return io.BytesIO(body) if body is not None and len(body) > _PIECE else body


def _wait(error: ApiError) -> float | None:
    """How long the server asks us to wait, if the request may be repeated at all.

    A version that the server has not reached may never come, and there is a better answer to it than waiting:
    to ask for the latest state, which is the caller's to decide (G1).
    """
    if isinstance(error, VersionTooLarge):
        return None
    return error.retry_after if error.status == 429 or error.status >= 500 else None


def _failure(response: aiohttp.ClientResponse, payload: bytes) -> ApiError:
    """The error in an answer; a body that is no Status (a proxy's HTML) is quoted in short."""
    try:
        status = _status.decode(payload)
    except msgspec.DecodeError:
        status = Status(message=f"{response.reason}: {payload[:200].decode('utf-8', 'replace')!r}")
    retry_after: float | None = None
    header = response.headers.get("Retry-After", "")
    if header.isdecimal():
        retry_after = min(float(header), LONGEST_WAIT)
    return error_of(
        response.status,
        status.reason,
        status.message,
        retry_after=retry_after,
        details=msgspec.to_builtins(status.details) if status.details else None,
    )
