"""One HTTP exchange with the API server: a deadline, credentials, waits it asks for, typed errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from urllib.parse import urlencode

import msgspec

from kube.config import Configuration
from kube.errors import (
    ApiError,
    DeadlineExceeded,
    Unauthorized,
    Unreachable,
    VersionTooLarge,
    error_of,
)
from kube.http import Answer, Pool
from kube.objects import Status
from messages.unreadable import UNREADABLE

RETRIES = 10
"""How often a request is repeated because the server said when to come back (G45; client-go's number)."""

LONGEST_WAIT = 300.0
"""Seconds; whoever asks for a longer wait is asked again after this one. A maintenance page that says "in a day"
must not blind a cache for a day, nor look like a loop that is stuck."""

CONNECTIONS = 64
"""Requests that are under way at once. Watches have connections of their own and never wait for these."""

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
        self._requests: Pool | None = None
        self._watches: Pool | None = None

    async def open(self) -> None:
        """Make the pools; connections are made when they are needed."""
        self._requests = self._pool(CONNECTIONS)
        self._watches = self._pool(None)

    async def close(self) -> None:
        """Close both pools and every connection in them."""
        pools, self._requests, self._watches = (self._requests, self._watches), None, None
        for pool in pools:
            if pool is not None:
                await pool.close()

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
        target = _target(path, params)
        refused: str | None = None
        waits = 0
        deadline = _now() + timeout
        try:
            async with asyncio.timeout_at(deadline):
                while True:
                    sent = await self._authorize(headers, refused)
                    try:
                        return await self._exchange(method, target, body, headers)
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
        self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]
    ) -> bytes:
        if self._requests is None:
            raise RuntimeError(_NOT_OPEN)
        try:
            answer, payload = await self._requests.exchange(method, target, headers, body)
        except OSError as error:
            raise _unreachable(method, target, error) from error
        if answer.status >= 300:
            raise _failure(answer, payload)
        return payload

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
        target = _target(path, params)
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(timeout):
                    body = await self._begin(target, headers, stack)
            except TimeoutError:
                raise _late("GET", path, timeout) from None
            yield await stack.enter_async_context(aclosing(_chunks(body, path)))

    async def _begin(
        self, target: str, headers: dict[str, str], stack: AsyncExitStack
    ) -> AsyncGenerator[bytes, None]:
        if self._watches is None:
            raise RuntimeError(_NOT_OPEN)
        refused: str | None = None
        while True:
            sent = await self._authorize(headers, refused)
            try:
                async with AsyncExitStack() as attempt:
                    stream = self._watches.stream("GET", target, headers)
                    answer, body = await attempt.enter_async_context(stream)
                    if answer.status < 300:
                        await stack.enter_async_context(attempt.pop_all())
                        return body
                    failure = _failure(answer, b"".join([part async for part in body]))
            except OSError as error:
                raise _unreachable("GET", target, error) from error
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

    def _pool(self, limit: int | None) -> Pool:
        to = self._configuration
        return Pool(to.server, tls=to.ssl_context, server_name=to.server_name, proxy=to.proxy, limit=limit)


async def _chunks(body: AsyncGenerator[bytes, None], path: str) -> AsyncGenerator[bytes, None]:
    try:
        async for chunk in body:
            yield chunk
    except OSError as error:
        raise _unreachable("GET", path, error) from error


def _target(path: str, params: Mapping[str, str] | None) -> str:
    return f"{path}?{urlencode(params)}" if params else path


def _now() -> float:
    """The loop's time, which deadlines are in."""
    return asyncio.get_running_loop().time()


def _unreachable(method: str, target: str, error: Exception) -> Unreachable:
    path = target.partition("?")[0]
    return Unreachable(0, "Unreachable", f"{method} {path}: {str(error) or type(error).__name__}")


def _late(method: str, path: str, timeout: float) -> DeadlineExceeded:
    return DeadlineExceeded(0, "DeadlineExceeded", f"{method} {path}: no answer in {timeout:g} s")


def _wait(error: ApiError) -> float | None:
    """How long the server asks us to wait, if the request may be repeated at all.

    A version that the server has not reached may never come, and there is a better answer to it than waiting:
    to ask for the latest state, which is the caller's to decide (G1).
    """
    if isinstance(error, VersionTooLarge):
        return None
    return error.retry_after if error.status == 429 or error.status >= 500 else None


def _failure(answer: Answer, payload: bytes) -> ApiError:
    """The error in an answer; a body that is no Status (a proxy's HTML) is quoted in short."""
    try:
        status = _status.decode(payload)
    except UNREADABLE:
        status = Status(message=f"{answer.reason}: {payload[:200].decode('utf-8', 'replace')!r}")
    retry_after: float | None = None
    if answer.retry_after.isdecimal():
        retry_after = min(float(answer.retry_after), LONGEST_WAIT)
    return error_of(
        answer.status,
        status.reason,
        status.message,
        retry_after=retry_after,
        details=msgspec.to_builtins(status.details) if status.details else None,
    )
