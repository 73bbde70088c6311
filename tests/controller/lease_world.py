"""A scripted world for leader election: one Lease with optimistic concurrency, and processes that have bad days.

The server is exact: it applies a write or refuses it by resourceVersion. What happens between it and a process
is told by that process's faults, by the time at which a call is made. A request that was sent is delivered
even if its sender has given up on it by then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NoReturn, cast

import looptime
import msgspec

from controller.election import LeaderElector
from controller.lease import Lease, LeaseTimings
from controller.metrics import Metrics
from kube import AlreadyExists, ApiError, Client, Conflict, NotFound, ServiceUnavailable, Unreachable


class Mode(StrEnum):
    """How calls go wrong."""

    REFUSED = "refused"
    """The connection is refused: nothing is delivered."""
    UNAVAILABLE = "unavailable"
    """The server answers 503: nothing is applied."""
    HANGS = "hangs"
    """Nothing is delivered, no answer comes."""
    ANSWER_LOST = "answer lost"
    """The request is applied, no answer comes."""
    ANSWER_LATE = "answer late"
    """The request is applied, the answer comes 4 s later."""
    SLOW = "slow"
    """The request is applied 3 s late, the answer comes then."""
    VERY_SLOW = "very slow"
    """The request is applied 8 s late: after its sender has given up, and after the lease may have moved on."""
    STALE = "stale"
    """Reads answer what the record was 4 s ago."""
    FROZEN = "frozen"
    """The process itself stands still (its clock does not), as after SIGSTOP."""


@dataclass(frozen=True)
class Fault:
    """One window of trouble for one process, in seconds of the world's time."""

    start: float
    length: float
    mode: Mode

    def covers(self, at: float) -> bool:
        return self.start <= at < self.start + self.length


class LeaseServer:
    """The API server as far as one Lease goes."""

    def __init__(self) -> None:
        self.record: dict[str, Any] | None = None
        self.revision = 0
        self.history: list[tuple[float, dict[str, Any] | None]] = []
        self.refusals = 0

    def read(self, at: float | None = None) -> Lease:
        record = self.record
        if at is not None:
            record = next((old for when, old in reversed(self.history) if when <= at), None)
        if record is None:
            raise NotFound(404, "NotFound", "no such lease")
        return msgspec.convert(record, Lease)

    def create(self, body: dict[str, Any]) -> Lease:
        if self.record is not None:
            raise AlreadyExists(409, "AlreadyExists", "there is one")
        self._store({"metadata": dict(body["metadata"]), "spec": dict(body["spec"])})
        return self.read()

    def patch(self, body: dict[str, Any]) -> Lease:
        if self.record is None:
            raise NotFound(404, "NotFound", "no such lease")
        wanted = body.get("metadata", {}).get("resourceVersion")
        if wanted is not None and wanted != self.record["metadata"]["resourceVersion"]:
            self.refusals += 1
            raise Conflict(409, "Conflict", "the object has been modified")
        spec = {**self.record["spec"], **body["spec"]}
        if spec != self.record["spec"]:
            self._store({"metadata": dict(self.record["metadata"]), "spec": spec})
        return self.read()

    def delete(self) -> None:
        self.record = None
        self.history.append((asyncio.get_running_loop().time(), None))

    def annotate(self) -> None:
        """Somebody else's harmless write: a new resourceVersion, the same spec."""
        assert self.record is not None
        self._store({"metadata": dict(self.record["metadata"]), "spec": dict(self.record["spec"])})

    @property
    def holder(self) -> str:
        return self.record["spec"].get("holderIdentity", "") if self.record else ""

    def _store(self, record: dict[str, Any]) -> None:
        self.revision += 1
        record["metadata"]["resourceVersion"] = str(self.revision)
        record["metadata"].setdefault("uid", f"uid-{self.revision}")
        self.record = record
        self.history.append((asyncio.get_running_loop().time(), record))


@dataclass
class Term:
    """One stretch of guarded work of one process, in the world's time."""

    process: str
    began: float
    ended: float = float("inf")
    writes: list[float] = field(default_factory=list)


class Process:
    """One candidate: its clock, its client, its elector, and guarded work that writes and winds down."""

    def __init__(
        self,
        world: World,
        name: str,
        *,
        faults: tuple[Fault, ...] = (),
        rate: float = 1.0,
        winds_down: float = 0.0,
        timings: LeaseTimings | None = None,
    ) -> None:
        self.world = world
        self.name = name
        self.faults = faults
        self.rate = rate
        self.winds_down = winds_down
        self.metrics = Metrics()
        self.dead = False
        self.offset = 1000.0 * len(world.processes)
        self.stop_working = asyncio.Event()
        self.fails_with: Exception | None = None
        self.elector = LeaderElector(
            cast(Client, self),
            "operator",
            "lease",
            name,
            metrics=self.metrics,
            timings=timings or LeaseTimings(),
            clock=self.clock,
            sleep=self.sleep,
            rng=world.rng,
            now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
            abort=self.abort,
        )
        self.task: asyncio.Task[None] | None = None
        world.processes.append(self)

    # --- the process's own time -----------------------------------------------------------------------------

    def clock(self) -> float:
        return self.offset + self.world.now * self.rate

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.rate)
        await self.thawed()

    async def thawed(self) -> None:
        if self.world.over:
            return
        if self.dead:
            await asyncio.Event().wait()
        while (fault := self.trouble(Mode.FROZEN)) is not None:  # noqa: ASYNC110 - the world's time is the event
            await asyncio.sleep(fault.start + fault.length - self.world.now + 1e-6)

    def trouble(self, *modes: Mode) -> Fault | None:
        now = self.world.now
        return next((f for f in self.faults if f.covers(now) and (not modes or f.mode in modes)), None)

    def abort(self, reason: str) -> NoReturn:
        self.dead = True
        for term in self.world.terms:
            if term.process == self.name:
                term.ended = min(term.ended, self.world.now)
        raise SystemError(reason)

    # --- the client -----------------------------------------------------------------------------------------

    async def get(self, _resource: object, _name: str, _namespace: str, **_: Any) -> Lease:
        stale = self.trouble(Mode.STALE) is not None
        server = self.world.server
        return await self._call(lambda: server.read(self.world.now - 4.0 if stale else None))

    async def create(self, _resource: object, body: dict[str, Any], _namespace: str, **_: Any) -> Lease:
        return await self._call(lambda: self.world.server.create(body))

    async def merge_patch(
        self, _resource: object, _name: str, body: dict[str, Any], _namespace: str, **_: Any
    ) -> Lease:
        return await self._call(lambda: self.world.server.patch(body))

    async def _call(self, operation: Callable[[], Lease]) -> Lease:
        await self.thawed()
        fault = self.trouble()
        mode = fault.mode if fault else None
        if mode is Mode.REFUSED:
            raise Unreachable(0, "Unreachable", "connection refused")
        if mode is Mode.UNAVAILABLE:
            await asyncio.sleep(0.01)
            raise ServiceUnavailable(503, "ServiceUnavailable", "etcd has no leader")
        if mode is Mode.HANGS:
            await asyncio.Event().wait()
        delay = {Mode.SLOW: 3.0, Mode.VERY_SLOW: 8.0}.get(mode, 0.02) if mode else 0.02
        answer = self.world.deliver(delay, operation)
        if mode is Mode.ANSWER_LOST:
            await asyncio.Event().wait()
        lease = await asyncio.shield(answer)
        if mode is Mode.ANSWER_LATE:
            await asyncio.sleep(4.0)
        await asyncio.sleep(0.01)
        await self.thawed()
        return lease

    # --- the guarded work -----------------------------------------------------------------------------------

    async def lead(self) -> None:
        term = Term(self.name, self.world.now)
        self.world.terms.append(term)
        try:
            while not self.stop_working.is_set():
                if self.fails_with is not None:
                    raise self.fails_with
                if self.elector.may_act():
                    term.writes.append(self.world.now)
                await self.sleep(0.5)
        finally:
            if self.winds_down:
                await self.sleep(self.winds_down)
            term.ended = min(term.ended, self.world.now)

    def start(self) -> asyncio.Task[None]:
        self.task = asyncio.create_task(self.elector.run(self.lead), name=self.name)
        return self.task

    @property
    def leading(self) -> bool:
        return any(term.process == self.name and term.ended == float("inf") for term in self.world.terms)


class World:
    """The server, the processes, and a record of who worked when. Make it inside a running loop."""

    def __init__(self, seed: int = 0) -> None:
        import random

        self.server = LeaseServer()
        self.processes: list[Process] = []
        self.terms: list[Term] = []
        self.rng = random.Random(seed)
        self.over = False
        self._deliveries: set[asyncio.Future[Lease]] = set()

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def deliver(self, delay: float, operation: Callable[[], Lease]) -> asyncio.Future[Lease]:
        """Apply the request after `delay`, whether or not anybody waits for the answer."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Lease] = loop.create_future()
        self._deliveries.add(answer)
        answer.add_done_callback(self._delivered)

        def arrive() -> None:
            try:
                answer.set_result(operation())
            except ApiError as error:
                answer.set_exception(error)

        loop.call_later(delay, arrive)
        return answer

    def _delivered(self, answer: asyncio.Future[Lease]) -> None:
        self._deliveries.discard(answer)
        if not answer.cancelled():
            answer.exception()  # nobody may be waiting for it any more

    def terms_of(self, process: Process) -> list[Term]:
        return [term for term in self.terms if term.process == process.name]

    async def end(self) -> None:
        """Cancel every process and wait for it, and for what an aborted process has left behind."""
        self.over = True
        tasks = [process.task for process in self.processes if process.task is not None]
        tasks += [task for task in asyncio.all_tasks() if task.get_name() == "leading"]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def overlaps(
    terms: list[Term], span: Callable[[Term], tuple[float, float] | None]
) -> list[tuple[Term, Term]]:
    """Pairs of terms of different processes whose spans overlap."""
    spans = sorted(
        ((found, term) for term in terms if (found := span(term)) is not None), key=lambda pair: pair[0]
    )
    return [
        (one, other)
        for index, ((_, end), one) in enumerate(spans)
        for (begin, _), other in spans[index + 1 :]
        if begin < end and one.process != other.process
    ]


def worked(term: Term) -> tuple[float, float]:
    """From the first moment of the work to its end, winding down included."""
    return (term.began, term.ended)


def wrote(term: Term) -> tuple[float, float] | None:
    """From the first to the last guarded write."""
    return (term.writes[0], term.writes[-1]) if term.writes else None


@contextmanager
def virtual_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop of its own on virtual time, for examples that Hypothesis makes."""
    loop = looptime.new_event_loop(start=0)
    try:
        yield loop
    finally:
        loop.close()
