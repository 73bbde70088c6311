"""One process's claim to a Lease: reads and writes the record, and knows when it may be written (G43).

Nothing here waits or decides to lead. Every call to the API server is bounded, and every write carries the
resourceVersion that it was decided on, so that one which arrives late changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from controller.lease import Lease, LeaseTimings, claim_body, release_body
from informers.timing import Clock
from kube import LEASES, AlreadyExists, Client, Conflict, NotFound

T = TypeVar("T")

RELEASE_ATTEMPTS = 3
"""A release may meet a renewal of our own that was under way; more than twice it is somebody else's write."""


class Claim:
    """The claim of `identity`, which no other process may have, to the Lease `namespace/name`."""

    def __init__(
        self,
        client: Client,
        namespace: str,
        name: str,
        identity: str,
        *,
        timings: LeaseTimings,
        clock: Clock,
        now: Callable[[], datetime],
    ) -> None:
        self.identity = identity
        self.sent = 0.0
        """Clock time before the last successful claim was sent. Meaningful while `held`."""
        self._client = client
        self._namespace = namespace
        self._name = name
        self._timings = timings
        self._clock = clock
        self._now = now
        self._stamp = datetime.min.replace(tzinfo=UTC)
        self._held: Lease | None = None
        self._seen: Lease | None = None
        self._seen_anything = False
        self._changed = 0.0
        """Clock time at which `_seen` was first seen as it is."""

    @property
    def held(self) -> bool:
        """Whether the record named us when we last wrote it, and nothing else is known since."""
        return self._held is not None

    def give_up(self) -> None:
        """Be a candidate again.

        What we held counts as seen now: if it has vanished by the next look, that is no fresh cluster.
        """
        if self._held is not None:
            self._seen, self._seen_anything, self._changed = self._held, True, self._clock()
        self._held = None

    async def acquire(self) -> bool:
        """Try once to become the holder. Raises ApiError or TimeoutError if the API server cannot be asked."""
        found = await self._read()
        if self._waits(found):
            return False
        try:
            await self._write(found)
        except (Conflict, AlreadyExists, NotFound):
            return False
        return True

    async def renew(self) -> bool:
        """Try once to stay the holder; False if the lease is somebody else's.

        The holder writes over the record that it wrote last, without reading. Only if that is refused does it
        read, and stays the holder only if the record still names it (or is gone). Raises ApiError or
        TimeoutError if that cannot be told; the claim is then as it was.
        """
        if self._held is not None:
            try:
                await self._write(self._held)
            except (Conflict, NotFound):
                pass
            else:
                return True
        found = await self._read()
        if found is not None and found.holder != self.identity:
            self._held = None
            return False
        await self._write(found)
        return True

    async def release(self) -> bool:
        """Give the lease up; False if it is not ours. Raises ApiError or TimeoutError if that fails."""
        held, self._held = self._held, None
        for _ in range(RELEASE_ATTEMPTS):
            if held is None or held.holder != self.identity:
                return False
            try:
                await self._patch(release_body(held, self._next_stamp()))
            except Conflict:
                held = await self._read()
            else:
                return True
        return False

    def _waits(self, found: Lease | None) -> bool:
        """Whether a candidate has to leave the lease alone.

        A lease that vanishes before our eyes may still have a holder at work, so it is waited for like any
        other. Only a candidate that has never seen a lease takes the absence of one for a fresh cluster.
        """
        first = not self._seen_anything
        if first or _record(found) != _record(self._seen):
            self._changed = float("-inf") if first and found is None else self._clock()
            self._seen = found
            self._seen_anything = True
        if found is not None and found.holder in ("", self.identity):
            return False
        duration = self._timings.lease_duration
        if found is not None and found.spec.lease_duration_seconds:
            duration = float(found.spec.lease_duration_seconds)
        return self._clock() < self._changed + duration

    async def _read(self) -> Lease | None:
        timeout = self._timings.call_timeout
        try:
            return await _within(
                timeout, self._client.get(LEASES, self._name, self._namespace, type=Lease, timeout=timeout)
            )
        except NotFound:
            return None

    async def _write(self, found: Lease | None) -> None:
        body = claim_body(
            found,
            namespace=self._namespace,
            name=self._name,
            identity=self.identity,
            duration=self._timings.lease_duration,
            now=self._next_stamp(),
        )
        sent = self._clock()
        self._held = await (self._create(body) if found is None else self._patch(body))
        self.sent = sent

    async def _create(self, body: dict[str, Any]) -> Lease:
        timeout = self._timings.call_timeout
        return await _within(
            timeout, self._client.create(LEASES, body, self._namespace, type=Lease, timeout=timeout)
        )

    async def _patch(self, body: dict[str, Any]) -> Lease:
        timeout = self._timings.call_timeout
        patch = self._client.merge_patch(
            LEASES, self._name, body, self._namespace, type=Lease, timeout=timeout
        )
        return await _within(timeout, patch)

    def _next_stamp(self) -> datetime:
        """Later than any before: a record that does not change would look abandoned, whatever the clock does."""
        self._stamp = max(self._now(), self._stamp + timedelta(microseconds=1))
        return self._stamp


async def _within(seconds: float, call: Awaitable[T]) -> T:
    async with asyncio.timeout(seconds):
        return await call


def _record(lease: Lease | None) -> object:
    return None if lease is None else (lease.metadata.uid, lease.spec)
