"""A backend that fits in a page: the second example of the contract, beside Aer on pods.

It "measures" all zeros. Tests move its executions along; nothing here looks at a clock.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field

from backends import (
    FINAL,
    Attempt,
    Capabilities,
    Cost,
    Estimate,
    Handle,
    NoSuchExecution,
    Refused,
    Result,
    State,
    Status,
    Submission,
)

MOST_SHOTS = 10_000


@dataclass
class Execution:
    """What the provider knows of a submission."""

    handle: Handle
    submission: Submission
    state: State = State.QUEUED


@dataclass
class InMemoryProvider:
    """The provider's side: it outlives any backend object that talks to it."""

    executions: dict[str, Execution] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def by_id(self, identifier: str) -> Execution:
        for execution in self.executions.values():
            if execution.handle.id == identifier:
                return execution
        raise NoSuchExecution(f"there is no execution {identifier}")


class InMemoryBackend:
    """Talks to a provider; keeps nothing itself."""

    def __init__(self, provider: InMemoryProvider) -> None:
        self.provider = provider

    async def capabilities(self) -> Capabilities:
        return Capabilities(name="in-memory", version="1", qubits=5, shots=MOST_SHOTS)

    async def estimate(self, submission: Submission) -> Estimate:
        return Estimate(cost=Cost(amount=f"{submission.shots / 1000:.3f}"))

    async def submit(self, submission: Submission) -> Handle:
        if submission.shots > MOST_SHOTS:
            raise Refused("InvalidSpec", f"at most {MOST_SHOTS} shots are taken")
        key = submission.attempt.key
        if key not in self.provider.executions:
            identifier = f"execution-{next(self.provider.numbers)}"
            handle = Handle(attempt=submission.attempt, id=identifier, name=key)
            self.provider.executions[key] = Execution(handle, submission)
        return self.provider.executions[key].handle

    async def find(self, attempt: Attempt) -> Handle | None:
        execution = self.provider.executions.get(attempt.key)
        return execution.handle if execution is not None else None

    async def status(self, handle: Handle) -> Status:
        return Status(state=self.provider.by_id(handle.id).state)

    async def result(self, handle: Handle) -> Result:
        execution = self.provider.by_id(handle.id)
        if execution.state != State.SUCCEEDED:
            raise NoSuchExecution(f"execution {handle.id} has no result")
        shots = execution.submission.shots
        return Result(counts=({"00000": shots},), shots=shots)

    async def cancel(self, handle: Handle) -> None:
        try:
            execution = self.provider.by_id(handle.id)
        except NoSuchExecution:
            return
        if execution.state not in FINAL:
            execution.state = State.CANCELLED

    async def actual_cost(self, handle: Handle) -> Cost:
        execution = self.provider.by_id(handle.id)
        return Cost(amount=f"{execution.submission.shots / 1000:.3f}")
