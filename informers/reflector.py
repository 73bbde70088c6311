"""The loop that keeps a cache true: awaits what the state says, steps, does what the step says (G9, G23).

It ends only by cancellation. Whatever else happens, in the network or in our own code, is an event that leads
to another state.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, Protocol

from informers.actions import Action, Advance, Apply, Collect, Replace, ReplaceByCollected, Report
from informers.backoff import Backoff
from informers.decode import Collection, NotACollection
from informers.events import (
    Bookmark,
    Changed,
    Crashed,
    Ended,
    ErrorEvent,
    Event,
    Fault,
    Idle,
    ListFailed,
    Opened,
    Refused,
    Rested,
    Skipped,
)
from informers.faults import fault_of_error
from informers.key import Key
from informers.listing import list_all
from informers.metrics import InformerMetrics
from informers.objects import KubernetesObject, key_of
from informers.resource_version import UNSET
from informers.silence import LONGEST_WATCH, Silence, draw_timeout
from informers.states import LATEST, BackingOff, Connecting, Listing, Streaming, Watching
from informers.timing import Clock, Sleep, let_others_run
from informers.watch import start, step
from kube.errors import ApiError

OPENING = 30.0
"""Seconds for a server to accept a watch; it answers at once, even where there is nothing to send yet."""

INITIAL_LATE = 10.0
"""Seconds after which initial events without an end are worth a warning (G2)."""

LINES_A_TURN = 64
"""Watch lines taken between two turns of the event loop, should they come faster than they are read (H2)."""

DEADLINE_SLACK = 1.0
"""Seconds by which a deadline may be early or late."""

STUCK_AFTER = LONGEST_WATCH + 60.0
"""Seconds without a step after which the loop is stuck for certain: every wait in it is bounded by less."""

_log = logging.getLogger(__name__)


class Source(Protocol):
    """The collection to follow: one resource, in one namespace or all, with its selectors."""

    async def list(self, resource_version: str, limit: int | None, continue_: str | None) -> Collection[Any]:
        """One page, decoded."""
        ...

    def watch(
        self, resource_version: str, timeout_seconds: int, initial: bool
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Opens a watch."""
        ...

    def decode(self, line: bytes) -> Event:
        """The event that a line tells."""
        ...


class Target(Protocol):
    """The cache that follows."""

    async def replace(self, objects: Sequence[Any], resource_version: str, keep: frozenset[Key]) -> None:
        """Makes the objects the whole content."""
        ...

    def apply(self, type: str, obj: Any, resource_version: str) -> None:  # noqa: A002 - Kubernetes' name
        """Puts or deletes one object."""
        ...

    def advance(self, resource_version: str) -> None:
        """Notes that nothing changed up to this version."""
        ...


class Reflector:
    """Follows one collection. `name` stands in log lines."""

    def __init__(
        self,
        name: str,
        source: Source,
        target: Target,
        *,
        watch_list: bool,
        backoff: Backoff,
        clock: Clock,
        sleep: Sleep,
        rng: random.Random,
        metrics: InformerMetrics,
    ) -> None:
        self._name = name
        self._source = source
        self._target = target
        self._backoff = backoff
        self._clock = clock
        self._sleep = sleep
        self._rng = rng
        self._metrics = metrics
        self._collected: dict[Key, KubernetesObject] = {}
        self._unreadable: set[Key] = set()
        self._asked = 0.0
        self._retry_after = 0.0
        self.state = start(watch_list)
        self.last_step = 0.0
        self.last_activity = 0.0

    async def run(self) -> None:
        """Follows until cancelled."""
        self.last_step = self.last_activity = self._clock()
        while True:
            try:
                await self._turn()
            except asyncio.CancelledError:
                # Ours to obey only if somebody cancelled this task. One that leaks out of the client, say from a
                # future of a closed connection, would end a task group's child without a sign.
                if _is_cancelled():
                    raise
                await self._take(Crashed("a cancellation that nobody asked for"))
            except Exception as error:  # noqa: BLE001 - a reflector that ends leaves a cache that lies (G23)
                _log.exception("%s: the reflector failed and starts over", self._name)
                await self._take(Crashed(repr(error)))

    async def _turn(self) -> None:
        """Awaits what the state says, and steps."""
        state = self.state
        match state:
            case Connecting():
                await self._follow(state)
            case Listing():
                await self._take(await self._list(state))
            case BackingOff():
                delay = max(self._backoff.next_delay(), self._retry_after)
                self._retry_after = 0.0
                await self._sleep(delay)
                await self._take(Rested())
            case _:
                raise AssertionError(f"{state} without a stream")

    async def _take(self, event: Event) -> None:
        self.last_step = self._clock()
        before = self.state
        self.state, actions = step(before, event)
        for action in actions:
            await self._do(action)

    async def _do(self, action: Action) -> None:
        match action:
            case Apply(change=change, rv=rv):
                self._target.apply(change.type, change.object, rv)
            case Advance(rv=rv):
                self._target.advance(rv)
            case Collect(event=event):
                self._collect(event)
            case Replace(objects=objects, rv=rv, unreadable=unreadable):
                await self._replace(objects, rv, unreadable)
            case ReplaceByCollected(rv=rv):
                objects, self._collected = list(self._collected.values()), {}
                await self._replace(objects, rv, frozenset(self._unreadable))
            case Report(reason=reason, message=message):
                self._report(reason, message)

    def _report(self, reason: str, message: str) -> None:
        _log.warning("%s: %s%s", self._name, reason, f": {message}" if message else "")
        self._metrics.problem(reason)

    def _collect(self, event: Changed | Skipped) -> None:
        if isinstance(event, Skipped):
            if event.key is not None:
                self._unreadable.add(event.key)
            self._report(event.reason, event.message)
            return
        key = key_of(event.object)
        if event.type == "DELETED":
            self._collected.pop(key, None)
        else:
            self._collected[key] = event.object

    async def _replace(self, objects: Sequence[Any], rv: str, unreadable: frozenset[Key]) -> None:
        await self._target.replace(objects, rv, unreadable)
        self._metrics.listed(len(objects), self._clock() - self._asked)

    async def _list(self, state: Listing) -> Event:
        self._asked = self._clock()
        try:
            return await list_all(self._list_page, state.rv)
        except ApiError as error:
            _log.warning("%s: list from %r failed: %s", self._name, state.rv, error)
            self._retry_after = error.retry_after or 0.0
            return ListFailed(fault_of_error(error))
        except NotACollection as error:
            _log.warning("%s: list from %r was answered with %s", self._name, state.rv, error)
            return ListFailed(Fault.OTHER)

    async def _list_page(self, rv: str, limit: int | None, continue_: str | None) -> Collection[Any]:
        page = await self._source.list(rv, limit, continue_)
        self.last_activity = self._clock()
        return page

    async def _follow(self, state: Connecting) -> None:
        """Opens a watch and takes its lines until the state awaits something else."""
        timeout = draw_timeout(self._rng)
        rv = LATEST if state.initial and state.rv in UNSET else state.rv
        self._asked = self._clock()
        self._collected = {}
        self._unreadable = set()
        opened = False
        end: Event | None
        try:
            async with AsyncExitStack() as stack:
                watch = self._source.watch(rv, timeout, state.initial)
                async with asyncio.timeout(OPENING) as deadline:
                    lines = await stack.enter_async_context(watch)
                opened = True
                self._metrics.watch_opened(state.initial)
                await self._take(Opened())
                end = await self._read(lines, timeout)
        except ApiError as error:
            _log.info("%s: watch from %r %s: %s", self._name, rv, "cut" if opened else "refused", error)
            self._retry_after = error.retry_after or 0.0
            end = Refused(fault_of_error(error))
            if opened:
                self._metrics.watch_ended("cut")
                end = Ended(self._clock() - self._asked)
        except TimeoutError:
            if not deadline.expired():
                raise
            _log.warning("%s: watch from %r not answered in %g s", self._name, rv, OPENING)
            end = Refused(Fault.REFUSED)
        if end is not None:
            await self._take(end)

    async def _read(self, lines: AsyncIterator[bytes], timeout: float) -> Event | None:
        """Takes lines; returns how the stream ended, or None if it was a line that ended it."""
        loop = asyncio.get_running_loop()
        silence = Silence(loop.time(), timeout)
        late = loop.call_later(INITIAL_LATE, self._warn_if_late)
        count = 0
        try:
            async with asyncio.timeout_at(silence.deadline(loop.time(), self._initial)) as deadline:
                async for line in lines:
                    self.last_activity = self._clock()
                    event = self._source.decode(line)
                    self._note(event, silence)
                    if self._initial and isinstance(event, Bookmark):
                        # The collection may be told now, in many turns: our time, not the server's silence.
                        deadline.reschedule(None)
                    await self._take(event)
                    if not isinstance(self.state, Watching | Streaming):
                        self._metrics.watch_ended("broken")
                        return None
                    _move(deadline, silence.deadline(loop.time(), self._initial))
                    count += 1
                    if count % LINES_A_TURN == 0:
                        await let_others_run()
        except TimeoutError:
            if not deadline.expired():
                raise
            _log.warning("%s: the watch fell silent, its connection must be dead", self._name)
            self._metrics.watch_ended("silent")
            return Idle()
        finally:
            late.cancel()
        self._metrics.watch_ended("closed")
        return Ended(self._clock() - self._asked)

    def _note(self, event: Event, silence: Silence) -> None:
        match event:
            case Changed():
                self._metrics.event_received(event.type)
            case Bookmark():
                silence.bookmark_seen()
                self._metrics.event_received("BOOKMARK")
            case ErrorEvent():
                _log.info("%s: error in the watch: %s", self._name, event.message)
                self._metrics.event_received("ERROR")

    @property
    def _initial(self) -> bool:
        return isinstance(self.state, Streaming)

    def _warn_if_late(self) -> None:
        if self._initial:
            _log.warning("%s: the initial events have not ended after %g s", self._name, INITIAL_LATE)
            self._metrics.problem("initial events late")


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _move(deadline: asyncio.Timeout, when: float) -> None:
    """Moves the deadline if it matters: a timer for each line would cost as much as decoding it."""
    current = deadline.when()
    if current is None or abs(when - current) > DEADLINE_SLACK:
        deadline.reschedule(when)
