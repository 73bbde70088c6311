"""The client of the validation service, which builds and fetches what this process must not touch itself."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TypeVar

import msgspec

from kube.http import Pool, TooLong
from messages.unreadable import UNREADABLE
from messages.validation import FetchRequest, FetchResponse, ValidateRequest, ValidateResponse

VALIDATE_SECONDS = 60.0
"""Longest wait for one answer: the service's own limit on building a circuit (10 s) and its queue."""

FETCH_SECONDS = 180.0
"""Longest wait for a clone or a download."""

BUSY_SECONDS = 1.0
"""Wait after 429 where the service names none."""

ANSWER_LIMIT = 64 << 20
"""Bytes of an answer that are read: a fetched source, in base64."""

HEADERS = {"Content-Type": "application/json", "Accept": "application/json"}

M = TypeVar("M", bound=msgspec.Struct)


class ValidationUnavailable(Exception):
    """The service did not answer properly. Another try may help."""


class ValidationRefused(Exception):
    """The service cannot make sense of the request (400, 413). That is no verdict about the circuit."""


class ValidationService:
    """Asks the service at `url`; an async context manager around its connections.

    A busy service (429) is asked again after the wait that it names, for as long as it takes.
    """

    def __init__(self, url: str, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._url = url.rstrip("/")
        self._sleep = sleep
        self._pool: Pool | None = None

    async def __aenter__(self) -> ValidationService:
        # The service limits by itself what it does at once; connections that wait for it are cheap.
        self._pool = Pool(self._url)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._pool is not None:
            await self._pool.close()

    async def validate(self, request: ValidateRequest) -> ValidateResponse:
        """Have a circuit looked at.

        Raises:
            ValidationUnavailable, ValidationRefused: if there is no answer, or none that can be used.
        """
        return await self._post("/validate", request, ValidateResponse, VALIDATE_SECONDS)

    async def fetch(self, request: FetchRequest) -> FetchResponse:
        """Have a source fetched.

        Raises:
            ValidationUnavailable, ValidationRefused: if there is no answer, or none that can be used.
        """
        return await self._post("/fetch", request, FetchResponse, FETCH_SECONDS)

    async def _post(self, path: str, request: msgspec.Struct, answer: type[M], limit: float) -> M:
        body = msgspec.json.encode(request)
        while True:
            wait = await self._try(path, body, answer, limit)
            if not isinstance(wait, float):
                return wait
            await self._sleep(wait)

    async def _try(self, path: str, body: bytes, answer: type[M], limit: float) -> M | float:
        """One request: the answer, or the seconds after which a busy service wants to be asked again."""
        if self._pool is None:
            raise RuntimeError("the validation client is used outside of its context")
        try:
            async with asyncio.timeout(limit):
                found, text = await self._pool.exchange("POST", path, HEADERS, body, most=ANSWER_LIMIT)
        except TimeoutError as error:
            raise ValidationUnavailable(
                f"the validation service did not answer within {limit:g} s"
            ) from error
        except TooLong as error:
            raise ValidationUnavailable(f"the validation service: {error}") from error
        except OSError as error:
            raise ValidationUnavailable(f"the validation service cannot be reached: {error}") from error
        if found.status == 429:
            return _retry_after(found.retry_after)
        if found.status in (400, 413, 422):
            raise ValidationRefused(f"HTTP {found.status}: {text[:300].decode(errors='replace')}")
        if found.status != 200:
            raise ValidationUnavailable(f"the validation service answered HTTP {found.status}")
        try:
            return msgspec.json.decode(text, type=answer)
        except UNREADABLE as error:
            raise ValidationUnavailable(f"the validation service's answer cannot be read: {error}") from error


def _retry_after(text: str) -> float:
    try:
        wait = float(text)
    except ValueError:
        return BUSY_SECONDS
    # "nan" is a number to Python, and no wait at all to a timer.
    return BUSY_SECONDS if math.isnan(wait) else min(max(wait, 0.05), 60.0)
