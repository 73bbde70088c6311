"""A scripted API server: plays lists and watch streams as told, and writes down what was asked of it.

When the script runs out, lists and watches hang, as a quiet server's watch does.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import deque
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from msgspec import Struct, field

from informers.informer import Informer
from kube.errors import ApiError, Unreachable
from kube.resources import Resource


class Metadata(Struct, frozen=True, rename="camel"):
    """Enough metadata for a cache."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    labels: dict[str, str] = field(default_factory=dict)


class Thing(Struct, frozen=True):
    """A lean object: metadata and one field."""

    metadata: Metadata
    value: int = 0


THINGS = Resource(group="", version="v1", plural="things", kind="Thing")


class Close:
    """The server ends the stream in order."""


CLOSE = Close()
LEAK = asyncio.CancelledError()
"""A cancellation that nobody asked for, as from a future that the client had cancelled."""

Line = bytes | float | Exception | asyncio.CancelledError | Close
"""A line to send, seconds to be silent, an error to fail with, or the end."""


def thing(name: str, rv: int | str, *, uid: str = "", value: int = 0, **labels: str) -> dict[str, Any]:
    """A thing as JSON, in namespace `ns`, whose UID defaults to its name."""
    namespace, _, short = name.rpartition("/")
    metadata = {
        "name": short,
        "namespace": namespace or "ns",
        "uid": uid or short,
        "resourceVersion": str(rv),
        "labels": labels,
    }
    return {"kind": "Thing", "apiVersion": "v1", "metadata": metadata, "value": value}


def listed(rv: int | str, *things: dict[str, Any], continue_: str = "", kind: str = "ThingList") -> bytes:
    """The body of a list. Items of built-in kinds carry no kind of their own."""
    items = [{key: item[key] for key in item if key not in ("kind", "apiVersion")} for item in things]
    metadata = {"resourceVersion": str(rv)} | ({"continue": continue_} if continue_ else {})
    return json.dumps({"kind": kind, "apiVersion": "v1", "metadata": metadata, "items": items}).encode()


def event(type: str, obj: Mapping[str, Any]) -> bytes:  # noqa: A002 - Kubernetes' name
    """A watch line, without spaces as the API server writes it."""
    return json.dumps({"type": type, "object": obj}, separators=(",", ":")).encode()


def added(name: str, rv: int, **fields: Any) -> bytes:
    return event("ADDED", thing(name, rv, **fields))


def modified(name: str, rv: int, **fields: Any) -> bytes:
    return event("MODIFIED", thing(name, rv, **fields))


def deleted(name: str, rv: int, **fields: Any) -> bytes:
    return event("DELETED", thing(name, rv, **fields))


def bookmark(rv: int, *, initial_end: bool = False) -> bytes:
    metadata: dict[str, Any] = {"resourceVersion": str(rv), "creationTimestamp": None}
    if initial_end:
        metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
    return event("BOOKMARK", {"kind": "Thing", "apiVersion": "v1", "metadata": metadata, "spec": None})


def error(code: int, reason: str, message: str = "") -> bytes:
    status = {"kind": "Status", "code": code, "reason": reason, "message": message, "metadata": {}}
    return event("ERROR", status)


def api_error(status: int, reason: str, message: str = "", **more: Any) -> ApiError:
    return ApiError(status, reason, message, **more)


def expired() -> ApiError:
    return api_error(410, "Expired")


def refused() -> Unreachable:
    return Unreachable(0, "Unreachable", "connection refused")


class ScriptedServer:
    """Plays `lists` and `watches` in order; `requests` is the exact sequence of what was asked for."""

    def __init__(self) -> None:
        self.lists: deque[bytes | ApiError | Exception] = deque()
        self.watches: deque[tuple[Line, ...] | Exception] = deque()
        self.requests: list[str] = []
        self.times: list[float] = []
        self.details: list[dict[str, Any]] = []
        self.open_watches = 0

    def will_list(self, *answers: bytes | Exception) -> ScriptedServer:
        self.lists.extend(answers)
        return self

    def will_watch(self, *lines: Line) -> ScriptedServer:
        """One more stream; it hangs after its last line unless that is CLOSE or an error."""
        self.watches.append(lines)
        return self

    def will_refuse(self, *errors: Exception) -> ScriptedServer:
        """As many watches that cannot be opened."""
        self.watches.extend(errors)
        return self

    def will_hang(self) -> ScriptedServer:
        """One watch that is never answered."""
        self.watches.append(TimeoutError())
        return self

    async def list(self, resource: Resource, namespace: str | None = None, **details: Any) -> bytes:
        rv = details["resource_version"]
        page = f" page {details['continue_']}" if details.get("continue_") else ""
        limit = f" limit {details['limit']}" if details.get("limit") else ""
        self._note(f"list {rv!r}{limit}{page}", {"namespace": namespace} | details)
        if not self.lists:
            await asyncio.get_running_loop().create_future()
        answer = self.lists.popleft()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def watch(
        self, resource: Resource, namespace: str | None = None, **details: Any
    ) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        kind = "watch-list" if details["send_initial_events"] else "watch"
        self._note(f"{kind} {details['resource_version']!r}", {"namespace": namespace} | details)
        return self._stream()

    @asynccontextmanager
    async def _stream(self) -> AsyncIterator[AsyncIterator[bytes]]:
        script = self.watches.popleft() if self.watches else ()
        if isinstance(script, TimeoutError):
            await asyncio.get_running_loop().create_future()
        if isinstance(script, Exception):
            raise script
        self.open_watches += 1
        lines = self._lines(script)
        try:
            yield lines
        finally:
            self.open_watches -= 1
            await lines.aclose()

    async def _lines(self, script: tuple[Line, ...]) -> Any:
        for line in script:
            if isinstance(line, Exception | asyncio.CancelledError):
                raise line
            if isinstance(line, Close):
                return
            if isinstance(line, float | int):
                await asyncio.sleep(line)
            else:
                yield line
        await asyncio.get_running_loop().create_future()

    def _note(self, request: str, details: dict[str, Any]) -> None:
        self.requests.append(request)
        self.times.append(asyncio.get_running_loop().time())
        self.details.append(details)

    def waits(self) -> Iterator[float]:
        """Seconds between one request and the next."""
        return (round(after - before, 3) for before, after in zip(self.times, self.times[1:], strict=False))


class NoJitter(random.Random):
    """Always the smallest value: delays come out exactly as configured."""

    def random(self) -> float:
        return 0.0


def follow(server: ScriptedServer, **options: Any) -> Informer[Thing]:
    """An informer on the scripted server: plain lists, no jitter, no resync unless asked for."""
    defaults: dict[str, Any] = {"watch_list": False, "rng": NoJitter(), "resync_period": None}
    return Informer(server, THINGS, Thing, **(defaults | options))


@asynccontextmanager
async def running(informer: Any) -> AsyncIterator[None]:
    """Runs the informer for the length of the block, and ends it by cancellation."""
    task = asyncio.create_task(informer.run())
    try:
        yield
        assert not task.done(), "an informer never ends by itself"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def run_for(informer: Any, seconds: float) -> None:
    async with running(informer):
        await asyncio.sleep(seconds)


def names(informer: Any) -> list[str]:
    return sorted(obj.metadata.name for obj in informer.list())


class Diary:
    """A handler that writes down what it is told."""

    def __init__(self) -> None:
        self.entries: list[str] = []
        self.deleted: list[Any] = []

    def on_add(self, obj: Thing, initial: bool) -> None:
        self.entries.append(f"add {obj.metadata.name}{' initial' if initial else ''}")

    def on_update(self, old: Thing, new: Thing) -> None:
        versions = f"{old.metadata.resource_version}->{new.metadata.resource_version}"
        self.entries.append(f"update {new.metadata.name} {versions}")

    def on_delete(self, last: Any) -> None:
        self.deleted.append(last)
        tombstone = hasattr(last, "last")
        obj = last.last if tombstone else last
        self.entries.append(f"delete {obj.metadata.name}{' unseen' if tombstone else ''}")
