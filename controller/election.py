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
A lease that somebody deletes by hand while it is held is the one case left open: a process that starts just then
takes its absence for a fresh cluster.
"""

from __future__ import annotations

import asyncio
import os
import random
import socket
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import NoReturn

import structlog

from controller.claim import Claim
from controller.lease import JITTER_FACTOR, LeaseTimings
from controller.metrics import Metrics
from informers.timing import Clock, Sleep, loop_clock, loop_sleep
from kube import ApiError, Client

log = structlog.get_logger("election")

SHORTEST_SLEEP = 0.001
"""Seconds; a timer that rings a hair early must not spin until the clock has gone on."""

ABORT_SHARE = 0.2
"""Last share of the time between renew deadline and expiry; work that reaches it is aborted. With the usual
timings that is a second before the expiry, and safe for clocks whose speeds differ by up to 7 %."""


def new_identity() -> str:
    """A holder's name that no other process has, not even this one's next incarnation."""
    return f"{socket.gethostname()}_{uuid.uuid4().hex[:12]}"


def utc_now() -> datetime:
    """The wall clock, for the times that people read in a Lease."""
    return datetime.now(UTC)


def boot_clock() -> float:
    """Seconds since the machine was started, those that it slept included.

    The event loop's clock stands still while a machine sleeps, and would take an old lease for a fresh one
    afterwards.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME)


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
        self._name = name
        self._metrics = metrics
        self._timings = timings or LeaseTimings()
        self._clock = clock
        self._sleep = sleep
        self._rng = rng or random.Random()  # noqa: S311 - jitter, no secret
        self._abort = abort
        self._leading = False
        self._retired = False
        self._claim = Claim(client, namespace, name, identity, timings=self._timings, clock=clock, now=now)

    @property
    def leading(self) -> bool:
        """Whether guarded work is under way, be it that it winds down."""
        return self._leading

    def may_act(self) -> bool:
        """Whether guarded work may begin something now. Needs no turn of the event loop to become False."""
        return self._claim.held and self._clock() < self._claim.sent + self._timings.renew_deadline

    def retire(self) -> None:
        """Begin no further term: a leader that loses the lease from now on leaves, and is no candidate again.

        For a leader that winds down by itself. Cancel `run` to end a candidate.
        """
        self._retired = True

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
            if self._retired:
                return

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
        while (left := self._claim.sent + seconds - self._clock()) > 0:
            await self._sleep(max(left, SHORTEST_SLEEP))

    async def _acquire(self) -> None:
        self._claim.give_up()
        while True:
            try:
                if await self._claim.acquire():
                    return
            except (ApiError, TimeoutError) as error:
                log.warning("the lease cannot be asked for", lease=self._name, error=_words(error))
            await self._sleep(self._timings.retry_period * self._rng.uniform(1.0, JITTER_FACTOR))

    async def _renew(self) -> None:
        """Renew for as long as the lease is ours; returns when it is somebody else's."""
        while True:
            await self._sleep(self._timings.retry_period)
            try:
                if not await self._claim.renew():
                    return
            except (ApiError, TimeoutError) as error:
                log.warning("the lease could not be renewed", lease=self._name, error=_words(error))

    async def _release(self) -> None:
        """Best effort: an unreleased lease expires by itself."""
        try:
            if await self._claim.release():
                log.info("lease released", identity=self.identity, lease=self._name)
                self._metrics.leader_transitions.labels("released").inc()
        except (ApiError, TimeoutError) as error:
            log.warning("the lease could not be released", lease=self._name, error=_words(error))


async def _call(lead: Callable[[], Awaitable[None]]) -> None:
    await lead()


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__
