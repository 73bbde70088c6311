"""Credentials that rotate: kept until they are due or refused, then fetched anew by one caller for all (G47)."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import inf
from pathlib import Path

from kube.errors import Unauthorized

TOKEN_FILE_LIFETIME = 60.0
"""Seconds for which a pod's token is used before its file is read again; kubelet renews it long before it
expires."""

LONGEST_MARGIN = 60.0
MARGIN_SHARE = 0.2
"""A credential is renewed a minute, or a fifth of its life if that is less, before it expires: a request
that is under way must not arrive with it too late. Seconds, and a share of the seconds that were left."""

FETCH_AGAIN = 5.0
"""Seconds between two fetches that nobody was refused for: one that fails, or whose credential has expired
already by our clock, is not tried at every request."""

_log = logging.getLogger(__name__)

Authorization = Callable[[str | None], Awaitable[str | None]]
"""Gives the Authorization header's value; its argument is the value that was just refused (401), if any.

Raises Unauthorized if there is none to be had.
"""


@dataclass(frozen=True, slots=True)
class Credential:
    """An Authorization header's value, good for `use_for` seconds unless it is refused before."""

    value: str
    use_for: float = inf


class Rotating:
    """An Authorization over a source that is slow or costly to ask: a file, a program, an identity provider."""

    def __init__(
        self,
        fetch: Callable[[], Awaitable[Credential]],
        *,
        initial: Credential | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = asyncio.Lock()
        self._value: str | None = None
        self._due = 0.0
        self._fetched = 0
        self._failure: Unauthorized | None = None
        if initial is not None:
            self._take(initial)

    async def __call__(self, refused: str | None = None) -> str | None:
        """The value in force, fetched first if need be."""
        if not self._good(refused):
            fetched = self._fetched
            async with self._lock:
                # Whoever waited for the lock finds what the one before has fetched, and makes do with that: if it is
                # of no use, it would be none a moment later.
                if self._fetched == fetched:
                    await self._renew(refused)
            if self._failure is not None and self._value in (None, refused):
                failure = self._failure
                raise Unauthorized(failure.status, failure.reason, failure.message) from failure
        return self._value

    def _good(self, refused: str | None) -> bool:
        return self._value is not None and self._value != refused and self._clock() < self._due

    async def _renew(self, refused: str | None) -> None:
        try:
            self._take(await self._fetch())
            self._failure = None
        except Unauthorized as error:
            self._failure = error
            if self._value not in (None, refused):
                # What we have may still be taken; the server will say so if it is not.
                _log.warning("credentials could not be renewed", extra={"error": error.message})
                self._due = self._clock() + FETCH_AGAIN
        self._fetched += 1

    def _take(self, credential: Credential) -> None:
        self._value = credential.value
        self._due = self._clock() + credential.use_for


def shortly_before(expiry: float) -> float:
    """For how many seconds to use a credential that expires in `expiry` seconds."""
    return max(FETCH_AGAIN, expiry - min(LONGEST_MARGIN, expiry * MARGIN_SHARE))


def token_file(path: Path, clock: Callable[[], float] = time.monotonic) -> Rotating:
    """Authorization by a token in a file that somebody else renews."""

    async def read() -> Credential:
        try:
            # A file of a few hundred bytes on a tmpfs: reading it takes less than handing it to a thread.
            token = path.read_text().strip()  # noqa: ASYNC240
        except OSError as error:
            raise Unauthorized(401, "NoCredentials", f"cannot read the token: {error}") from error
        if not token:
            raise Unauthorized(401, "NoCredentials", f"{path} is empty")
        return Credential(f"Bearer {token}", TOKEN_FILE_LIFETIME)

    return Rotating(read, clock=clock)
