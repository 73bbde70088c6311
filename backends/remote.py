"""A backend on the other side of a pipe: `serve` there, `RemoteBackend` here.

Frames are a length of four bytes (big-endian) and JSON. A call has a number, and its answer the same one, so
that many can be under way at once and be answered in any order.

    {"number": 7, "method": "status", "argument": {…}}
    {"number": 7, "value": {…}}   or   {"number": 7, "fault": {"kind": "refused", "reason": …, "message": …}}

Provider SDKs are large and hold the GIL, so they run in processes of their own; what crosses is messages of
`backends.contract` alone. Whoever loses the other side loses nothing: every call can be repeated.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from types import TracebackType
from typing import Any, Literal, TypeVar

import msgspec

from api.reasons import Reason
from backends.contract import (
    Attempt,
    Backend,
    Capabilities,
    Cost,
    Estimate,
    Handle,
    Message,
    Result,
    Status,
    Submission,
)
from backends.errors import BackendError, NoSuchExecution, ProviderUnavailable, Refused, SlotGone
from messages.unreadable import UNREADABLE

FRAME_LIMIT = 64 << 20
"""Bytes of one frame; a submission with a circuit of this size is a mistake, not a circuit. Whoever sends sees to it,
and only the one call fails. A longer one that arrives all the same was sent by nobody who speaks this protocol."""

CALLS_AT_ONCE = 64
"""Calls that a server works on at the same time; further ones wait in the pipe."""

ARGUMENTS: dict[str, type[Message] | None] = {
    "capabilities": None,
    "estimate": Submission,
    "submit": Submission,
    "find": Attempt,
    "status": Handle,
    "result": Handle,
    "cancel": Handle,
    "actual_cost": Handle,
}
"""The methods of a backend, each with the type of its argument."""

T = TypeVar("T")


class BackendDefect(BackendError):
    """The other side raised what no backend may raise. Its own log has the details."""


class _TooLong(Exception):
    """A message makes a frame above the limit; nothing of it was sent."""


class Fault(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error of `backends.errors`, as it crosses."""

    kind: Literal["unavailable", "refused", "slot_gone", "no_such_execution", "defect"]
    message: str
    reason: str = ""
    retry_after: float | None = None


class Call(msgspec.Struct, frozen=True):
    """A method called with at most one argument."""

    number: int
    method: str
    argument: msgspec.Raw = msgspec.Raw(b"null")


class Answer(msgspec.Struct, frozen=True):
    """What a call returned, or raised."""

    number: int
    value: msgspec.Raw = msgspec.Raw(b"null")
    fault: Fault | None = None


async def serve(backend: Backend, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer calls until the other side closes; calls that are then under way are cancelled.

    Raises:
        ExceptionGroup: with one of UNREADABLE if what comes is no call.
    """
    permits = asyncio.Semaphore(CALLS_AT_ONCE)
    under_way: set[asyncio.Task[None]] = set()

    async def work(call: Call) -> None:
        answer = await _answer(backend, call)
        permits.release()
        with contextlib.suppress(ConnectionError):  # nobody is left who would hear it
            try:
                await _write(writer, answer)
            except _TooLong as error:
                await _write(writer, Answer(call.number, fault=_fault_of_length(call, error)))

    async with asyncio.TaskGroup() as calls:
        while (frame := await _read(reader)) is not None:
            await permits.acquire()
            task = calls.create_task(work(msgspec.json.decode(frame, type=Call)))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
        for task in under_way:
            task.cancel()


class RemoteBackend:
    """A `backends.contract.Backend` whose work is done on the other side; an async context manager.

    While the other side is gone, every call raises ProviderUnavailable. A call that is cancelled here goes on
    there.
    """

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self._listener: asyncio.Task[None] | None = None

    async def __aenter__(self) -> RemoteBackend:
        self._listener = asyncio.create_task(self._listen(), name="remote backend")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._listener is not None
        self._listener.cancel()
        await asyncio.wait((self._listener,))
        self._writer.close()

    async def capabilities(self) -> Capabilities:
        answer: Capabilities = await self._call("capabilities", None, Capabilities)
        return answer

    async def estimate(self, submission: Submission) -> Estimate:
        answer: Estimate = await self._call("estimate", submission, Estimate)
        return answer

    async def submit(self, submission: Submission) -> Handle:
        answer: Handle = await self._call("submit", submission, Handle)
        return answer

    async def find(self, attempt: Attempt) -> Handle | None:
        found: Handle | None = await self._call("find", attempt, Handle | None)
        return found

    async def status(self, handle: Handle) -> Status:
        answer: Status = await self._call("status", handle, Status)
        return answer

    async def result(self, handle: Handle) -> Result:
        answer: Result = await self._call("result", handle, Result)
        return answer

    async def cancel(self, handle: Handle) -> None:
        await self._call("cancel", handle, type(None))

    async def actual_cost(self, handle: Handle) -> Cost:
        answer: Cost = await self._call("actual_cost", handle, Cost)
        return answer

    async def _call(self, method: str, argument: Message | None, returns: Any) -> Any:
        if self._listener is None or self._listener.done():
            raise ProviderUnavailable("the backend's process is gone")
        number = next(self._numbers)
        waiting: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[number] = waiting
        try:
            await _write(self._writer, Call(number, method, msgspec.Raw(msgspec.json.encode(argument))))
            answer = await waiting
        except _TooLong as error:
            raise Refused(Reason.INVALID_SPEC, f"what is to be submitted is too large: {error}") from error
        except ConnectionError as error:
            raise ProviderUnavailable(f"the backend's process is gone: {error}") from error
        finally:
            self._waiting.pop(number, None)
        if answer.fault is not None:
            raise _error_of(answer.fault)
        try:
            return msgspec.json.decode(answer.value, type=returns)
        except UNREADABLE as error:
            raise BackendDefect(f"what {method} has returned cannot be understood: {error}") from error

    async def _listen(self) -> None:
        try:
            while (frame := await _read(self._reader)) is not None:
                answer = msgspec.json.decode(frame, type=Answer)
                waiting = self._waiting.get(answer.number)
                if waiting is not None and not waiting.done():
                    waiting.set_result(answer)
        except (ConnectionError, *UNREADABLE) as error:
            self._give_up(f"the backend's process cannot be understood any more: {error}")
        finally:
            self._give_up("the backend's process is gone")

    def _give_up(self, why: str) -> None:
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(ProviderUnavailable(why))


async def _answer(backend: Backend, call: Call) -> Answer:
    try:
        if call.method not in ARGUMENTS:
            raise BackendDefect(f"a backend has no method {call.method!r}")
        argument_type = ARGUMENTS[call.method]
        method = getattr(backend, call.method)
        if argument_type is None:
            value = await method()
        else:
            value = await method(msgspec.json.decode(call.argument, type=argument_type))
        return Answer(call.number, msgspec.Raw(msgspec.json.encode(value)))
    except Exception as error:  # noqa: BLE001 - whatever it is, the caller has to be told
        return Answer(call.number, fault=_fault_of(error))


def _fault_of(error: Exception) -> Fault:
    match error:
        case ProviderUnavailable():
            return Fault("unavailable", error.message, retry_after=error.retry_after)
        case Refused():
            return Fault("refused", error.message, error.reason)
        case SlotGone():
            return Fault("slot_gone", error.message)
        case NoSuchExecution():
            return Fault("no_such_execution", error.message)
        case _:
            return Fault("defect", f"{type(error).__name__}: {error}")


def _fault_of_length(call: Call, error: _TooLong) -> Fault:
    if call.method == "result":
        return Fault(
            "refused", f"the result is too large to be handed over: {error}", Reason.RESULT_TOO_LARGE
        )
    return Fault("defect", f"the answer to {call.method!r} is too large: {error}")


def _error_of(fault: Fault) -> BackendError:
    match fault.kind:
        case "unavailable":
            return ProviderUnavailable(fault.message, retry_after=fault.retry_after)
        case "refused":
            return Refused(fault.reason, fault.message)
        case "slot_gone":
            return SlotGone(fault.message)
        case "no_such_execution":
            return NoSuchExecution(fault.message)
        case "defect":
            return BackendDefect(fault.message)


async def _write(writer: asyncio.StreamWriter, message: msgspec.Struct) -> None:
    frame = msgspec.json.encode(message)
    if len(frame) > FRAME_LIMIT:
        raise _TooLong(f"{len(frame)} bytes, and {FRAME_LIMIT} cross")
    writer.write(len(frame).to_bytes(4, "big") + frame)
    await writer.drain()


async def _read(reader: asyncio.StreamReader) -> bytes | None:
    """The next frame; None when the other side has closed, whether or not between two frames."""
    try:
        size = int.from_bytes(await reader.readexactly(4), "big")
        if size > FRAME_LIMIT:
            raise ConnectionError(f"a frame of {size} bytes")
        return await reader.readexactly(size)
    except (asyncio.IncompleteReadError, ConnectionResetError):
        return None
