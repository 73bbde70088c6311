"""What crosses the pipe: errors as they were raised, many calls at once, and the loss of the other side."""

from __future__ import annotations

import asyncio
import socket

import pytest

from backends import (
    Handle,
    NoSuchExecution,
    ProviderUnavailable,
    Refused,
    Result,
    SlotGone,
    State,
    Status,
    Submission,
)
from backends.remote import BackendDefect, RemoteBackend, serve
from tests.backends.contract_suite import across_a_pipe, an_attempt
from tests.backends.in_memory import InMemoryBackend, InMemoryProvider

UID = "0b4c6a1e-1111-4111-8111-111111111111"
HANDLE = Handle(attempt=an_attempt(1, uid=UID), id="execution-1", name="one")


class Raising(InMemoryBackend):
    """Raises what it is told to."""

    def __init__(self, error: Exception) -> None:
        super().__init__(InMemoryProvider())
        self.error = error

    async def status(self, handle: Handle) -> Status:
        raise self.error


@pytest.mark.parametrize(
    ("error", "attributes"),
    [
        (ProviderUnavailable("busy", retry_after=7.5), {"message": "busy", "retry_after": 7.5}),
        (Refused("PodRejected", "no"), {"reason": "PodRejected", "message": "no"}),
        (SlotGone("taken"), {"message": "taken"}),
        (NoSuchExecution("gone"), {"message": "gone"}),
    ],
)
async def test_an_error_arrives_as_it_was_raised(error: Exception, attributes: dict[str, object]) -> None:
    async with across_a_pipe(Raising(error)) as remote:
        with pytest.raises(type(error)) as raised:
            await remote.status(HANDLE)
    assert {name: getattr(raised.value, name) for name in attributes} == attributes


async def test_a_defect_of_the_other_side_is_told_and_ends_nothing_else() -> None:
    async with across_a_pipe(Raising(KeyError("oops"))) as remote:
        with pytest.raises(BackendDefect, match="KeyError: 'oops'"):
            await remote.status(HANDLE)
        assert (await remote.capabilities()).name == "in-memory"


class Wordy(InMemoryBackend):
    """Says too much."""

    async def status(self, handle: Handle) -> Status:
        return Status(state=State.RUNNING, message="x" * 5000)

    async def result(self, handle: Handle) -> Result:
        return Result(counts=({"0" * 5000: 1},))


@pytest.fixture
def short_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backends.remote.FRAME_LIMIT", 4096)


@pytest.mark.usefixtures("short_frames")
async def test_a_submission_above_the_limit_fails_alone() -> None:
    gated = Gated()
    async with across_a_pipe(gated) as remote, asyncio.TaskGroup() as calls:
        other = calls.create_task(remote.status(Handle(attempt=HANDLE.attempt, id="0", name="")))
        await gated.has_been_asked()
        submission = Submission(attempt=HANDLE.attempt, backend="large", circuit=b"x" * 5000)
        with pytest.raises(Refused, match="too large") as raised:
            await remote.submit(submission)
        gated.gates["0"].set()
    assert raised.value.reason == "InvalidSpec"
    assert other.result().message == "0"


@pytest.mark.usefixtures("short_frames")
async def test_an_answer_above_the_limit_fails_alone() -> None:
    async with across_a_pipe(Wordy(InMemoryProvider())) as remote:
        with pytest.raises(Refused, match="too large") as raised:
            await remote.result(HANDLE)
        assert raised.value.reason == "ResultTooLarge"
        with pytest.raises(BackendDefect, match="too large"):
            await remote.status(HANDLE)
        assert (await remote.capabilities()).name == "in-memory"


class Gated(InMemoryBackend):
    """Answers `status` of an execution when its gate opens."""

    def __init__(self) -> None:
        super().__init__(InMemoryProvider())
        self.gates = {str(number): asyncio.Event() for number in range(10)}
        self._asked: asyncio.Queue[str] = asyncio.Queue()

    async def status(self, handle: Handle) -> Status:
        self._asked.put_nowait(handle.id)
        await self.gates[handle.id].wait()
        return Status(state=State.RUNNING, message=handle.id)

    async def has_been_asked(self, times: int = 1) -> None:
        for _ in range(times):
            await self._asked.get()


async def test_calls_are_answered_in_any_order() -> None:
    backend = Gated()
    async with across_a_pipe(backend) as remote, asyncio.TaskGroup() as calls:
        asked = [
            calls.create_task(remote.status(Handle(attempt=HANDLE.attempt, id=gate, name="")))
            for gate in backend.gates
        ]
        await backend.has_been_asked(len(asked))
        for gate in reversed(backend.gates.values()):
            gate.set()
            await asyncio.sleep(0)
        answers = [(await call).message for call in asked]
    assert answers == list(backend.gates)


async def test_a_call_that_is_cancelled_disturbs_no_other() -> None:
    backend = Gated()
    async with across_a_pipe(backend) as remote:
        call = asyncio.create_task(remote.status(Handle(attempt=HANDLE.attempt, id="0", name="")))
        await backend.has_been_asked()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        backend.gates["0"].set()
        assert (await remote.capabilities()).name == "in-memory"


async def test_calls_fail_as_unavailable_when_the_other_side_is_lost() -> None:
    here, there = socket.socketpair()
    near = await asyncio.open_unix_connection(sock=here)
    far = await asyncio.open_unix_connection(sock=there)
    backend = Gated()
    serving = asyncio.create_task(serve(backend, *far))
    async with RemoteBackend(*near) as remote:
        call = asyncio.create_task(remote.status(Handle(attempt=HANDLE.attempt, id="0", name="")))
        await backend.has_been_asked()
        far[1].transport.abort()
        with pytest.raises(ProviderUnavailable):
            await call
        with pytest.raises(ProviderUnavailable):
            await remote.capabilities()
    await serving


ANSWERS = {
    "no JSON": b"rubbish",
    "a string that is not UTF-8": b'{"number": 1, "fault": {"kind": "defect", "message": "\xff"}}',
    "nested without end": b'{"number": 1, "value": ' + b"[" * 100_000,
}


@pytest.mark.parametrize("answer", ANSWERS)
async def test_an_answer_that_is_none_is_the_end_of_the_other_side(answer: str) -> None:
    here, there = socket.socketpair()
    near = await asyncio.open_unix_connection(sock=here)
    far = await asyncio.open_unix_connection(sock=there)
    async with RemoteBackend(*near) as remote:
        call = asyncio.create_task(remote.capabilities())
        await far[0].readexactly(4)
        far[1].write(len(ANSWERS[answer]).to_bytes(4, "big") + ANSWERS[answer])
        with pytest.raises(ProviderUnavailable, match="cannot be understood"):
            await call
    far[1].close()


async def test_the_serving_side_ends_with_the_pipe_and_cancels_what_is_under_way() -> None:
    here, there = socket.socketpair()
    near = await asyncio.open_unix_connection(sock=here)
    far = await asyncio.open_unix_connection(sock=there)
    backend = Gated()
    serving = asyncio.create_task(serve(backend, *far))
    async with RemoteBackend(*near) as remote:
        call = asyncio.create_task(remote.status(Handle(attempt=HANDLE.attempt, id="0", name="")))
        await backend.has_been_asked()
        call.cancel()
        await asyncio.wait((call,))
    await asyncio.wait_for(serving, 10)
    far[1].close()
