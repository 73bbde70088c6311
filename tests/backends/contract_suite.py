"""What every backend must do: the rules of `backends.contract`, as tests.

A provider's tests subclass `BackendContract` and give it a fixture `subject`. Run it once with the backend
itself and once with the backend behind a pipe (`across_a_pipe`).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec
import pytest

from backends import (
    FINAL,
    Attempt,
    Backend,
    Handle,
    NoSuchExecution,
    Owner,
    Refused,
    State,
    Submission,
)
from backends.remote import RemoteBackend, serve

Move = Callable[[Handle], Awaitable[None]]


@dataclass
class Subject:
    """A backend under test and what its world is made to do.

    `restarted` is the same backend as a new process would have it. `unrunnable` is a submission that the
    provider refuses. `expire` makes the provider forget an ended execution.
    """

    backend: Backend
    restarted: Backend
    submission: Callable[[int], Submission]
    unrunnable: Submission
    begin: Move
    succeed: Move
    expire: Move
    count: Callable[[], Awaitable[int]]


@asynccontextmanager
async def across_a_pipe(backend: Backend) -> AsyncIterator[Backend]:
    """The backend, with every argument and return value through a pipe."""
    here, there = socket.socketpair()
    near = await asyncio.open_unix_connection(sock=here)
    far = await asyncio.open_unix_connection(sock=there)
    serving = asyncio.create_task(serve(backend, *far))
    try:
        async with RemoteBackend(*near) as remote:
            yield remote
    finally:
        near[1].close()
        await serving
        far[1].close()


class BackendContract:
    """Subclass it, and give it a fixture `subject` of type `Subject`."""

    async def test_it_says_what_it_can_do(self, subject: Subject) -> None:
        capabilities = await subject.backend.capabilities()
        assert capabilities.name
        assert capabilities.version

    async def test_an_estimate_starts_nothing(self, subject: Subject) -> None:
        estimate = await subject.backend.estimate(subject.submission(1))
        assert estimate.cost.amount is None or float(estimate.cost.amount) >= 0
        assert await subject.count() == 0

    async def test_a_submitted_attempt_can_be_found_by_a_process_that_knows_only_the_attempt(
        self, subject: Subject
    ) -> None:
        submission = subject.submission(1)
        handle = await subject.backend.submit(submission)
        assert handle.id
        assert handle.attempt == submission.attempt
        assert await subject.restarted.find(submission.attempt) == handle

    async def test_what_was_never_submitted_is_not_found(self, subject: Subject) -> None:
        await subject.backend.submit(subject.submission(1))
        assert await subject.backend.find(subject.submission(2).attempt) is None

    async def test_another_jobs_attempt_of_the_same_number_is_another_one(self, subject: Subject) -> None:
        submission = subject.submission(1)
        await subject.backend.submit(submission)
        owner = msgspec.structs.replace(submission.attempt.owner, uid="7e3f0c6e-0000-4000-8000-000000000000")
        assert await subject.backend.find(Attempt(owner=owner, number=1)) is None

    async def test_submitting_an_attempt_again_starts_nothing_new(self, subject: Subject) -> None:
        first = await subject.backend.submit(subject.submission(1))
        again = await subject.restarted.submit(subject.submission(1))
        assert again == first
        assert await subject.count() == 1

    async def test_many_submitting_the_same_attempt_at_once_start_one(self, subject: Subject) -> None:
        handles = await asyncio.gather(
            *(subject.backend.submit(subject.submission(1)) for _ in range(5)),
            *(subject.restarted.submit(subject.submission(1)) for _ in range(5)),
        )
        assert len({handle.id for handle in handles}) == 1
        assert await subject.count() == 1

    async def test_the_next_attempt_is_another_execution(self, subject: Subject) -> None:
        first = await subject.backend.submit(subject.submission(1))
        second = await subject.backend.submit(subject.submission(2))
        assert first.id != second.id
        assert await subject.count() == 2

    async def test_an_ended_attempt_is_found_and_not_started_again(self, subject: Subject) -> None:
        handle = await subject.backend.submit(subject.submission(1))
        await subject.begin(handle)
        await subject.succeed(handle)
        assert await subject.backend.submit(subject.submission(1)) == handle
        assert await subject.count() == 1

    async def test_what_is_refused_is_not_started(self, subject: Subject) -> None:
        with pytest.raises(Refused) as refused:
            await subject.backend.submit(subject.unrunnable)
        assert refused.value.reason
        assert refused.value.message
        assert await subject.count() == 0
        assert await subject.backend.find(subject.unrunnable.attempt) is None

    async def test_an_execution_waits_runs_and_succeeds(self, subject: Subject) -> None:
        handle = await subject.backend.submit(subject.submission(1))
        assert (await subject.backend.status(handle)).state == State.QUEUED
        await subject.begin(handle)
        assert (await subject.backend.status(handle)).state == State.RUNNING
        await subject.succeed(handle)
        assert (await subject.backend.status(handle)).state == State.SUCCEEDED

    async def test_a_result_says_what_was_measured_or_where_it_is(self, subject: Subject) -> None:
        handle = await subject.backend.submit(subject.submission(1))
        await subject.begin(handle)
        await subject.succeed(handle)
        result = await subject.backend.result(handle)
        if (await subject.backend.capabilities()).stores_results:
            assert result.location
            assert result.counts is None
        else:
            assert result.counts
            assert all(sum(counts.values()) == result.shots for counts in result.counts)

    async def test_what_has_not_succeeded_has_no_result(self, subject: Subject) -> None:
        handle = await subject.backend.submit(subject.submission(1))
        with pytest.raises(NoSuchExecution):
            await subject.backend.result(handle)

    async def test_a_cancelled_execution_has_ended(self, subject: Subject) -> None:
        handle = await subject.backend.submit(subject.submission(1))
        await subject.begin(handle)
        await subject.backend.cancel(handle)
        assert await self.has_ended(subject.backend, handle)

    async def test_cancelling_what_has_ended_changes_nothing(self, subject: Subject) -> None:
        handle = await subject.backend.submit(subject.submission(1))
        await subject.begin(handle)
        await subject.succeed(handle)
        await subject.expire(handle)
        await subject.backend.cancel(handle)

    async def test_cancelling_twice_is_no_error(self, subject: Subject) -> None:
        handle = await subject.backend.submit(subject.submission(1))
        await subject.backend.cancel(handle)
        await subject.backend.cancel(handle)
        assert await self.has_ended(subject.backend, handle)

    async def test_what_the_provider_forgot_is_no_such_execution(self, subject: Subject) -> None:
        handle = await subject.backend.submit(subject.submission(1))
        await subject.begin(handle)
        await subject.succeed(handle)
        await subject.expire(handle)
        with pytest.raises(NoSuchExecution):
            await subject.backend.status(handle)

    async def test_a_cost_is_known_or_absent(self, subject: Subject) -> None:
        handle = await subject.backend.submit(subject.submission(1))
        cost = await subject.backend.actual_cost(handle)
        assert cost.amount is None or float(cost.amount) >= 0
        assert cost.currency

    @staticmethod
    async def has_ended(backend: Backend, handle: Handle) -> bool:
        """Whether the provider says so, or knows nothing of it any more; polled, since an end takes time."""
        for _ in range(3000):
            try:
                if (await backend.status(handle)).state in FINAL:
                    return True
            except NoSuchExecution:
                return True
            await asyncio.sleep(0.02)
        return False


def an_attempt(number: int, *, namespace: str = "default", name: str = "bell", uid: str) -> Attempt:
    return Attempt(owner=Owner(namespace=namespace, name=name, uid=uid), number=number)
