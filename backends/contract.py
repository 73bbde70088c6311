"""The `Backend` contract: what a provider must do to run jobs, and the messages that it does it with.

A backend starts executions of circuits, tells how they are, and ends them. It knows no QiskitJob and decides
no policy: retries, timeouts, queues and budgets are the caller's. Seven rules make a backend usable:

1. Messages only. Every argument and every return value is a frozen msgspec struct of this module (or None),
   so that a backend may run in another process (backends.remote). A backend keeps nothing that it cannot
   find again: each call may be the first one after a restart.
2. `submit` is idempotent by `Submission.attempt`. The attempt is stored by the caller before the call, and
   `Attempt.key` is unique to it. Submitting an attempt again starts nothing new and returns the same handle.
   Each execution carries the key as a name, tag or label to be found by; a provider that cannot promise
   idempotence by itself is searched for the key first.
3. `find` sees whatever `submit` started, at the latest when `submit` has returned or raised. It is how a
   caller that died in between learns what it had started.
4. `status`, `result`, `actual_cost` change nothing. `cancel` of what has ended or gone is no error.
5. A state never goes back: QUEUED, then RUNNING, then one of the final three. Final states stay.
6. Errors are those of backends.errors. What was refused must not have been started.
7. No invented figures: an estimate or a cost that is not known is None, a count comes from a run.

Times are RFC 3339 UTC texts, durations seconds, sizes bytes, money decimal text with its currency.
`tests/backends/contract_suite.py` holds a backend to all of this, in process and across a pipe.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

import msgspec


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """An argument or a return value of a backend."""


class Capabilities(Message, frozen=True):
    """What a backend can do. `None` is no limit, or none that is known.

    `methods` are the values of `spec.execution.method` that it takes; empty if it has no choice.
    `stores_results`: executions store their results themselves (through the gateway), so `result` says
    where instead of what. `slots`: submissions may name a slot.
    """

    name: str
    version: str
    qubits: int | None = None
    shots: int | None = None
    methods: tuple[str, ...] = ()
    stores_results: bool = False
    slots: bool = False


class Owner(Message, frozen=True):
    """The object that an execution belongs to and must not outlive."""

    namespace: str
    name: str
    uid: str


class Attempt(Message, frozen=True):
    """One try at running a job; what executions are found again by. Numbers count from 1 and never repeat."""

    owner: Owner
    number: int

    @property
    def key(self) -> str:
        """The attempt as one text of at most 63 characters, fit for a label, a tag or a request token."""
        return f"{self.owner.uid}-{self.number}"


class Slot(Message, frozen=True):
    """A place that is warm and waits for work. `version` guards against its being taken meanwhile."""

    id: str
    name: str
    version: str


class Volume(Message, frozen=True):
    """Where an execution writes its result itself: a folder on a claim of its own namespace."""

    claim: str
    folder: str


class Resources(Message, frozen=True):
    """Quantities by resource name, as Kubernetes writes them."""

    requests: dict[str, str] = {}
    limits: dict[str, str] = {}


class Submission(Message, frozen=True):
    """One attempt to be started.

    `backend` is the name that users know the backend by. `image` and `resources` matter to backends that run
    containers. `circuit` is the circuit as QPY for providers that take it from the caller; executions that
    fetch their work from the gateway get none.
    """

    attempt: Attempt
    backend: str
    shots: int = 1
    priority: str = "normal"
    image: str = ""
    resources: Resources = Resources()
    volume: Volume | None = None
    slot: Slot | None = None
    circuit: bytes | None = None


class Handle(Message, frozen=True):
    """What a submission became. `id` is the provider's own and never reused (a pod's UID, a provider's job
    id); `name` is what the provider's tools show. A caller stores `id`; the attempt finds the rest again."""

    attempt: Attempt
    id: str
    name: str


class State(StrEnum):
    """How far an execution is."""

    QUEUED = "Queued"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"


FINAL = frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED})
"""States that an execution does not leave."""


class Status(Message, frozen=True):
    """How an execution is. `reason` (CamelCase, the provider's own) and `message` say why it waits or
    failed. `queue_position` counts from 1 where the provider tells it."""

    state: State
    reason: str = ""
    message: str = ""
    queue_position: int | None = None
    started_at: str | None = None
    ended_at: str | None = None


class Result(Message, frozen=True):
    """The outcome of an execution that succeeded: either where it was stored, or what it is.

    `counts` has one mapping for each circuit, of Qiskit's keys to how often they were measured.
    """

    location: str | None = None
    digest: str | None = None
    counts: tuple[dict[str, int], ...] | None = None
    shots: int | None = None


class Cost(Message, frozen=True):
    """An amount of money. `amount` is decimal text ("0.00"), `None` where it is not known."""

    amount: str | None = None
    currency: str = "USD"


class Estimate(Message, frozen=True):
    """What a submission would take. `None` where there is no sound basis for a figure."""

    cost: Cost = Cost()
    queue_seconds: float | None = None
    execution_seconds: float | None = None


class Backend(Protocol):
    """One provider. All methods may raise ProviderUnavailable; the module's docstring has the rules."""

    async def capabilities(self) -> Capabilities:
        """What the backend can do now."""
        ...

    async def estimate(self, submission: Submission) -> Estimate:
        """What the submission would cost and take. Starts nothing."""
        ...

    async def submit(self, submission: Submission) -> Handle:
        """Start the attempt, or find that it was started before.

        Raises:
            Refused: if the provider will not run it. Nothing was started.
            SlotGone: if its slot is taken or gone. Nothing was started.
        """
        ...

    async def find(self, attempt: Attempt) -> Handle | None:
        """The execution that the attempt was submitted as, ended or not; `None` if there is none."""
        ...

    async def status(self, handle: Handle) -> Status:
        """How the execution is.

        Raises:
            NoSuchExecution: if the provider does not know it any more.
        """
        ...

    async def result(self, handle: Handle) -> Result:
        """The outcome of an execution in state SUCCEEDED.

        Raises:
            NoSuchExecution: if there is no result under this handle.
            Refused: if it is larger than what can be handed over.
        """
        ...

    async def cancel(self, handle: Handle) -> None:
        """End the execution, or see that it has ended. Whether it did, `status` tells."""
        ...

    async def actual_cost(self, handle: Handle) -> Cost:
        """What the execution has cost so far; final once its state is."""
        ...
