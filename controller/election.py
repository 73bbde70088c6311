"""Leader election on a Lease (G43): at most one process does the guarded work at any moment.

    acquire ──▶ term: guarded work │ renewal │ deadline ──▶ work ended by itself ──▶ release, return
       ▲                                  │
       └── work cancelled and awaited ◀── lost (deadline passed, or somebody else's name is on the lease)

What makes it safe:
- Expiry is judged by the local monotonic clock, from when a *change* of the record was seen; never by the
  times that are written in it. The holder counts from before it sent its last renewal: it expires first.
- The deadline is a task of its own. A renewal that hangs cannot keep it from ending the work.
- The work is awaited. If it has not ended shortly before the lease may go to somebody else, the process ends.
- Every write carries the resourceVersion that it was decided on; a write that arrives late changes nothing.
- Whatever ends the term (loss, stop, an error on either side), the work ends before the lease is given up.
A lease that somebody deletes by hand while it is held is the one case left open: see `_waits`.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import NoReturn, TypeVar

import structlog

from controller.lease import JITTER_FACTOR, Lease, LeaseTimings, claim_body, release_body
from controller.metrics import Metrics
from informers.timing import Clock, Sleep, loop_clock, loop_sleep
from kube import LEASES, AlreadyExists, ApiError, Client, Conflict, NotFound

log = structlog.get_logger("election")

T = TypeVar("T")

ABORT_SHARE = 0.2
"""Last share of the time between renew deadline and expiry; work that reaches it is aborted. With the usual
timings that is a second before the expiry, and safe for clocks whose speeds differ by up to 7 %."""

RELEASE_ATTEMPTS = 3
"""A release may meet a renewal of our own that was under way; more than twice it is somebody else's write."""


def new_identity() -> str:
    """A holder's name that no other process has, not even this one's next incarnation."""
    return f"{socket.gethostname()}_{uuid.uuid4().hex[:12]}"


def utc_now() -> datetime:
    """The wall clock, for the times that people read in a Lease."""
    return datetime.now(UTC)


def abort_process(reason: str) -> NoReturn:
    """End the process now, without cleaning up: whatever still runs must not go on."""
    log.critical("process aborted", reason=reason)
    os._exit(70)


class LeaderElector:
    """Takes part in the election for one Lease. `identity` must be unique to the process."""

    def __init__(
        self,
        client: Client,
        namespace: str,
        name: str,
        identity: str,
        *,
        metrics: Metrics,
        timings: LeaseTimings | None = None,
        clock: Clock = loop_clock,
        sleep: Sleep = loop_sleep,
        rng: random.Random | None = None,
        now: Callable[[], datetime] = utc_now,
        abort: Callable[[str], NoReturn] = abort_process,
    ) -> None:
        self.identity = identity
        self._client = client
        self._namespace = namespace
        self._name = name
        self._metrics = metrics
        self._timings = timings or LeaseTimings()
        self._clock = clock
        self._sleep = sleep
        self._rng = rng or random.Random()  # noqa: S311 - jitter, no secret
        self._now = now
        self._abort = abort
        self._stamp = datetime.min.replace(tzinfo=UTC)
        self._held: Lease | None = None
        """The record as this process last wrote it, while it believes to be the holder."""
        self._sent = 0.0
        """Clock time before the last successful claim was sent. Meaningful while `_held` is set."""
        self._leading = False
        self._seen: Lease | None = None
        self._seen_anything = False
        self._changed = 0.0
        """Clock time at which `_seen` was first seen as it is."""

    @property
    def leading(self) -> bool:
        """Whether guarded work is under way, be it that it winds down."""
        return self._leading

    def may_act(self) -> bool:
        """Whether guarded work may begin something now. Needs no turn of the event loop to become False."""
        return self._held is not None and self._clock() < self._sent + self._timings.renew_deadline

    async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
        """Take part until `lead` returns; called anew for each term, cancelled when the lease is lost.

        Cancel `run` to leave: the work is cancelled and awaited, then the lease is released. An error of
        `lead` ends the election in the same order and is raised.
        """
        while True:
            await self._acquire()
            log.info("leading", identity=self.identity, lease=self._name)
            self._metrics.leader_transitions.labels("acquired").inc()
            lost = False
            try:
                self._leading = True
                lost = await self._term(lead)
            finally:
                self._leading = False
                self._metrics.leader.set(0)
                if not lost:
                    await self._release()
            if not lost:
                return
            log.warning("leadership lost", identity=self.identity, lease=self._name)
            self._metrics.leader_transitions.labels("lost").inc()

    async def _term(self, lead: Callable[[], Awaitable[None]]) -> bool:
        """Run the work while the lease is held; True if the lease was lost before the work had ended."""
        self._metrics.leader.set(1)
        work = asyncio.create_task(_call(lead), name="leading")
        renewal = asyncio.create_task(self._renew(), name="lease-renewal")
        deadline = asyncio.create_task(self._passed(self._timings.renew_deadline), name="lease-deadline")
        lost = False
        try:
            await asyncio.wait({work, renewal, deadline}, return_when=asyncio.FIRST_COMPLETED)
            lost = not work.done()
        finally:
            # Renewal goes on while the work winds down: it only moves the moment of abortion further away.
            try:
                await self._end(work)
            finally:
                for task in (renewal, deadline):
                    task.cancel()
                await asyncio.wait({renewal, deadline})
        if not renewal.cancelled():
            renewal.result()
        if not work.cancelled():
            work.result()
        return lost

    async def _end(self, work: asyncio.Task[None]) -> None:
        """Cancel the work and wait for its end, however often this task is cancelled meanwhile."""
        work.cancel()
        slack = self._timings.lease_duration - self._timings.renew_deadline
        last_moment = self._timings.lease_duration - ABORT_SHARE * slack
        too_late = asyncio.create_task(self._passed(last_moment), name="lease-abort")
        cancelled = False
        try:
            while not work.done():
                try:
                    await asyncio.wait({work, too_late}, return_when=asyncio.FIRST_COMPLETED)
                except asyncio.CancelledError:
                    cancelled = True
                if too_late.done() and not work.done():
                    self._abort("the guarded work did not end in time before the lease could be taken")
        finally:
            too_late.cancel()
        if cancelled:
            raise asyncio.CancelledError

    async def _passed(self, seconds: float) -> None:
        """Return once `seconds` have passed since the last successful renewal was sent."""
        while (left := self._sent + seconds - self._clock()) > 0:
            await self._sleep(left)

    async def _acquire(self) -> None:
        if self._held is not None:
            # What we held counts as seen now: if it has vanished since, that is no fresh cluster.
            self._seen, self._seen_anything, self._changed = self._held, True, self._clock()
        self._held = None
        while True:
            try:
                if await self._claim(leading=False):
                    return
            except (ApiError, TimeoutError) as error:
                log.warning("the lease cannot be asked for", lease=self._name, error=_words(error))
            await self._sleep(self._timings.retry_period * self._rng.uniform(1.0, JITTER_FACTOR))

    async def _renew(self) -> None:
        """Renew for as long as the lease is ours; returns when it is somebody else's."""
        while True:
            await self._sleep(self._timings.retry_period)
            try:
                if not await self._claim(leading=True):
                    self._held = None
                    return
            except (ApiError, TimeoutError) as error:
                log.warning("the lease could not be renewed", lease=self._name, error=_words(error))

    async def _claim(self, *, leading: bool) -> bool:
        """Try once to write our name; False if the lease is somebody else's. Errors leave things as they are.

        A holder writes over the record that it wrote last, without reading. Only if that is refused does it
        read, and stays the holder only if the record still names it (or is gone).
        """
        if leading and self._held is not None:
            try:
                await self._write(self._held)
                return True
            except (Conflict, NotFound):
                pass
        found = await self._read()
        if leading:
            if found is not None and found.holder != self.identity:
                return False
        elif self._waits(found):
            return False
        try:
            await self._write(found)
        except (Conflict, AlreadyExists, NotFound):
            if leading:
                raise
            return False
        return True

    def _waits(self, found: Lease | None) -> bool:
        """Whether a candidate has to leave the lease alone.

        A lease that vanishes before our eyes may still have a holder at work, so it is waited for like any
        other. Only a candidate that has never seen a lease takes the absence of one for a fresh cluster.
        """
        first = not self._seen_anything
        before = self._seen
        changed = first or (found is None) != (before is None) or _record(found) != _record(before)
        if changed:
            self._changed = self._clock()
            self._seen = found
            self._seen_anything = True
        if found is not None and found.holder in ("", self.identity):
            return False
        if found is None:
            if first:
                self._changed = float("-inf")
            duration = self._timings.lease_duration
        else:
            duration = float(found.spec.lease_duration_seconds or self._timings.lease_duration)
        return self._clock() < self._changed + duration

    async def _read(self) -> Lease | None:
        timeout = self._timings.call_timeout
        try:
            return await _within(
                timeout,
                self._client.get(LEASES, self._name, self._namespace, type=Lease, timeout=timeout),
            )
        except NotFound:
            return None

    async def _write(self, found: Lease | None) -> None:
        # A record that does not change would look abandoned, whatever the wall clock does.
        self._stamp = max(self._now(), self._stamp + timedelta(microseconds=1))
        body = claim_body(
            found,
            namespace=self._namespace,
            name=self._name,
            identity=self.identity,
            duration=self._timings.lease_duration,
            now=self._stamp,
        )
        timeout = self._timings.call_timeout
        sent = self._clock()
        if found is None:
            call = self._client.create(LEASES, body, self._namespace, type=Lease, timeout=timeout)
        else:
            call = self._client.merge_patch(
                LEASES, self._name, body, self._namespace, type=Lease, timeout=timeout
            )
        self._held = await _within(timeout, call)
        self._sent = sent

    async def _release(self) -> None:
        """Give the lease up, if it is still ours. Best effort: an unreleased lease expires by itself."""
        held, self._held = self._held, None
        try:
            for _ in range(RELEASE_ATTEMPTS):
                if held is None or held.holder != self.identity:
                    return
                try:
                    body = release_body(held, max(self._now(), self._stamp + timedelta(microseconds=1)))
                    timeout = self._timings.call_timeout
                    await _within(
                        timeout,
                        self._client.merge_patch(
                            LEASES, self._name, body, self._namespace, type=Lease, timeout=timeout
                        ),
                    )
                except Conflict:
                    held = await self._read()
                else:
                    log.info("lease released", identity=self.identity, lease=self._name)
                    self._metrics.leader_transitions.labels("released").inc()
                    return
        except (ApiError, TimeoutError) as error:
            log.warning("the lease could not be released", lease=self._name, error=_words(error))


async def _call(lead: Callable[[], Awaitable[None]]) -> None:
    await lead()


async def _within(seconds: float, call: Awaitable[T]) -> T:
    async with asyncio.timeout(seconds):
        return await call


def _record(lease: Lease | None) -> object:
    return None if lease is None else (lease.metadata.uid, lease.spec)


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__
