"""The events recorder: says what happened to an object, as `kubectl describe` shows it (G46).

Events are best-effort. `emit` never waits and never raises; a queue that is full drops and counts; a write
that keeps failing is given up. Nothing that matters may depend on an event.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from kube.client import Client
from kube.correlation import MEMORY, Correlator, ObjectReference, Occurrence, Write
from kube.errors import (
    AlreadyExists,
    ApiError,
    DeadlineExceeded,
    NotFound,
    TooManyRequests,
    Unreachable,
)
from kube.objects import PartialObject
from kube.resources import EVENTS_V1

QUEUE_LIMIT = 1000
TRIES = 12
TRY_SECONDS = 10.0
"""Between two tries, as client-go has it: two minutes of an absent API server are bridged."""

NOTE_LIMIT = 1024
"""Bytes of an event's note (the API's own limit)."""

_log = logging.getLogger(__name__)


class EventRecorder:
    """Takes events from anywhere in the process; `run` writes them, one after the other.

    `controller` and `instance` say who reports: the operator, and this replica of it.
    """

    def __init__(
        self,
        client: Client,
        *,
        controller: str,
        instance: str,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._client = client
        self._controller = controller
        self._instance = instance
        self._clock = clock
        self._now = now
        self._sleep = sleep
        self._correlator = Correlator()
        self._queue: asyncio.Queue[tuple[Write, datetime]] = asyncio.Queue(QUEUE_LIMIT)
        self._names: OrderedDict[int, str] = OrderedDict()
        self.dropped = 0
        """Events that were not written: filtered, crowded out, or refused."""

    def emit(self, about: ObjectReference, type: str, reason: str, message: str) -> None:
        """Record that something happened; `type` is Normal or Warning, `reason` CamelCase."""
        write = self._correlator.correlate(Occurrence(about, type, reason, _note(message)), self._clock())
        if write is None:
            self.dropped += 1
            return
        try:
            self._queue.put_nowait((write, self._now()))
        except asyncio.QueueFull:
            self.dropped += 1

    async def run(self) -> None:
        """Write events until cancelled."""
        while True:
            write, at = await self._queue.get()
            try:
                await self._deliver(write, at)
            except Exception:  # noqa: BLE001 - the boundary that keeps a faulty event from ending the process (G46)
                _log.exception("event lost", extra={"reason": write.occurrence.reason})
                self.dropped += 1
            finally:
                self._queue.task_done()

    async def flush(self, timeout: float) -> None:
        """Wait until what was emitted is written, for at most `timeout` seconds; `run` must be running."""
        try:
            async with asyncio.timeout(timeout):
                await self._queue.join()
        except TimeoutError:
            _log.warning("events were left unwritten", extra={"left": self._queue.qsize()})

    async def _deliver(self, write: Write, at: datetime) -> None:
        for attempt in range(TRIES):
            if attempt:
                await self._sleep(TRY_SECONDS)
            try:
                await self._write(write, at)
            except ApiError as error:
                known = {"reason": write.occurrence.reason, "error": str(error), "attempt": attempt + 1}
                if not _passing(error):
                    _log.debug("event refused", extra=known)
                    break
                _log.debug("event not written yet", extra=known)
            else:
                return
        self.dropped += 1

    async def _write(self, write: Write, at: datetime) -> None:
        namespace = write.occurrence.about.namespace or "default"
        known = self._names.get(write.serial)
        if write.count > 1 and known is not None:
            series = {"series": {"count": write.count, "lastObservedTime": _micro_time(at)}}
            try:
                await self._client.merge_patch(EVENTS_V1, known, series, namespace, type=PartialObject)
            except NotFound:
                # Events live an hour; a longer series begins again.
                pass
            else:
                return
        name = known or _event_name(write.occurrence.about.name, at)
        self._names[write.serial] = name
        if len(self._names) > MEMORY:
            self._names.popitem(last=False)
        try:
            event = self._event(name, namespace, write, at)
            await self._client.create(EVENTS_V1, event, namespace, type=PartialObject)
        except AlreadyExists:
            # The try before this one was carried out, though nobody heard the answer.
            return

    def _event(self, name: str, namespace: str, write: Write, at: datetime) -> dict[str, Any]:
        about = write.occurrence.about
        return {
            "apiVersion": EVENTS_V1.api_version,
            "kind": EVENTS_V1.kind,
            "metadata": {"name": name, "namespace": namespace},
            "eventTime": _micro_time(at),
            "type": write.occurrence.type,
            "reason": write.occurrence.reason,
            "action": write.occurrence.reason,
            "note": write.occurrence.message,
            "reportingController": self._controller,
            "reportingInstance": self._instance[:128],
            "regarding": {
                "apiVersion": about.api_version,
                "kind": about.kind,
                "namespace": about.namespace,
                "name": about.name,
                "uid": about.uid,
            },
        }


def _event_name(about: str, at: datetime) -> str:
    """A name of its own that sorts by time.

    An object's events are listed by name, and kubectl describe, which knows the older API's times only, leaves
    them in that order. The name is a DNS name: a cut must not leave a dot or dash before the next dot.
    """
    microseconds = round(at.timestamp() * 1e6)
    return f"{about[:230].rstrip('.-')}.{microseconds:014x}{secrets.token_hex(3)}"


def _passing(error: ApiError) -> bool:
    """Whether another try may succeed. A refusal stays one: a namespace that is being deleted takes no events."""
    return error.status >= 500 or isinstance(error, Unreachable | DeadlineExceeded | TooManyRequests)


def _note(message: str) -> str:
    # Lone surrogates come out of file names and tracebacks, and no JSON can hold them.
    encoded = message.encode("utf-8", "replace")
    if len(encoded) <= NOTE_LIMIT:
        return encoded.decode()
    return encoded[: NOTE_LIMIT - len("…".encode())].decode("utf-8", "ignore") + "…"


def _micro_time(at: datetime) -> str:
    """RFC 3339 with microseconds, as the API's MicroTime wants it."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
