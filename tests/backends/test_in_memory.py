"""The in-memory backend keeps the contract, in process and across a pipe."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from backends import Handle, State, Submission
from tests.backends.contract_suite import BackendContract, Subject, across_a_pipe, an_attempt
from tests.backends.in_memory import InMemoryBackend, InMemoryProvider

UID = "0b4c6a1e-1111-4111-8111-111111111111"


def a_submission(number: int, shots: int = 100) -> Submission:
    return Submission(attempt=an_attempt(number, uid=UID), backend="in-memory", shots=shots)


class TestInMemory(BackendContract):
    @pytest.fixture(params=["in process", "across a pipe"])
    async def subject(self, request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
        provider = InMemoryProvider()

        async def begin(handle: Handle) -> None:
            provider.by_id(handle.id).state = State.RUNNING

        async def succeed(handle: Handle) -> None:
            provider.by_id(handle.id).state = State.SUCCEEDED

        async def expire(handle: Handle) -> None:
            del provider.executions[provider.by_id(handle.id).handle.attempt.key]

        async def count() -> int:
            return len(provider.executions)

        subject = Subject(
            backend=InMemoryBackend(provider),
            restarted=InMemoryBackend(provider),
            submission=a_submission,
            unrunnable=a_submission(1, shots=1_000_000),
            begin=begin,
            succeed=succeed,
            expire=expire,
            count=count,
        )
        if request.param == "in process":
            yield subject
        else:
            async with across_a_pipe(subject.backend) as remote:
                subject.backend = remote
                yield subject
