"""Every way from a new job to a recorded attempt: what is decided, on what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from api.conditions import find_condition, is_true
from api.phases import Phase
from api.views import CircuitMetadata
from backends import Slot
from reconcilers.job.decisions import (
    CheckOutput,
    Examine,
    FindBackend,
    Record,
    Rest,
    TakePlace,
)
from reconcilers.job.machine import decide
from reconcilers.job.settings import JobSettings
from reconcilers.job.starting import queue_rest
from reconcilers.job.world import (
    Admitted,
    Examined,
    OutputAbsent,
    OutputFree,
    OutputLeaving,
    OutputTaken,
    Queued,
    ServiceDown,
    SourceMissing,
    SourceRefused,
    Underway,
    World,
    is_open,
)
from tests.reconcilers.builders import T0, JobBuilder, a_backend, a_job, at

SETTINGS = JobSettings(executor_image="executor:1")
FOUND = Examined(
    source_hash="sha256:source", circuit=CircuitMetadata(qubits=2, method="stabilizer", memory_bytes=64)
)
SLOT = Slot(id="warm-1", name="warm-1", version="300")


def a_world(job: JobBuilder, *, seconds: float = 1, **known: Any) -> World:
    return World(now=T0 + seconds, job=job.view, **known)


def recorded(world: World) -> Record:
    step = decide(world, SETTINGS)
    assert isinstance(step, Record), step
    return step


NAMED = a_job().with_spec(backend={"type": "local_simulator", "name": "pool"})


@pytest.mark.parametrize(
    ("world", "want"),
    [
        pytest.param(a_world(a_job()), Examine(), id="a new job's source is examined first"),
        pytest.param(a_world(a_job(), examination=FOUND), CheckOutput(), id="then its output is looked at"),
        pytest.param(
            a_world(a_job(), examination=FOUND, output=OutputFree()),
            TakePlace(),
            id="then a place is asked for",
        ),
        pytest.param(
            a_world(a_job(), examination=FOUND, output=OutputLeaving(), seconds=4),
            Rest(1.0),
            id="the result of a job that is gone has time to go, too",
        ),
        pytest.param(
            a_world(a_job(), examination=FOUND, output=OutputLeaving(), seconds=5),
            TakePlace(),
            id="one that stays all the same fails nobody",
        ),
        pytest.param(
            a_world(a_job().examined()), CheckOutput(), id="what was examined before is not examined again"
        ),
        pytest.param(a_world(NAMED), FindBackend(), id="a backend that the cache lacks is asked for"),
        pytest.param(
            a_world(NAMED, backend_absent=True), Rest(1.0), id="a backend may come a moment after its job"
        ),
        pytest.param(a_world(NAMED, backend=a_backend()), Examine(), id="a named backend that is there"),
        pytest.param(
            a_world(a_job().retrying(due=10), seconds=4), Rest(6.0), id="a retry waits until it is due"
        ),
        pytest.param(a_world(a_job().retrying(due=10), seconds=10), CheckOutput(), id="a retry that is due"),
        pytest.param(
            a_world(a_job().retrying(due=10), seconds=-3600),
            CheckOutput(),
            id="a retry whose time is of a clock that was set back",
        ),
        pytest.param(
            a_world(a_job().with_metadata(deletion_timestamp=at(0))), Rest(), id="a job being deleted"
        ),
    ],
)
def test_the_next_step(world: World, want: object) -> None:
    assert decide(world, SETTINGS) == want


@pytest.mark.parametrize(
    ("world", "reason", "says"),
    [
        pytest.param(
            a_world(NAMED, backend_absent=True, seconds=5),
            "BackendNotFound",
            "no QiskitBackend 'pool'; correct backend.name",
            id="no such backend",
        ),
        pytest.param(
            a_world(a_job().with_spec(backend={"type": "ibm_quantum"})),
            "InvalidSpec",
            "ibm_quantum",
            id="a type that is not run here",
        ),
        pytest.param(
            a_world(NAMED.with_spec(execution={"shots": 2000}), backend=a_backend(limits={"shots": 1000})),
            "InvalidSpec",
            "2000",
            id="more shots than the backend takes",
        ),
        pytest.param(
            a_world(NAMED, backend=a_backend(limits={"qubits": 1}), examination=FOUND),
            "InsufficientResources",
            "2 qubits",
            id="more qubits than the backend takes",
        ),
        pytest.param(
            a_world(
                a_job().with_spec(resources={"limits": {"memory": "1Gi"}}),
                examination=Examined(
                    source_hash="sha256:s",
                    circuit=CircuitMetadata(qubits=30, method="statevector", memory_bytes=16 << 30),
                ),
            ),
            "InsufficientResources",
            "need at least 16512Mi, and the memory limit is 1Gi",
            id="memory that cannot suffice",
        ),
        pytest.param(
            a_world(a_job(), examination=Examined("sha256:s", refusal=("CircuitSyntaxError", "line 3: bad"))),
            "CircuitSyntaxError",
            "line 3",
            id="a circuit that validation refuses",
        ),
        pytest.param(
            a_world(a_job(), examination=SourceRefused("SourceForbidden", "a private address")),
            "SourceForbidden",
            "private",
            id="a source that may not be fetched",
        ),
        pytest.param(
            a_world(a_job().examined(), output=OutputTaken("ConfigMap x is not this job's")),
            "OutputConflict",
            "ConfigMap x",
            id="an output that is taken",
        ),
        pytest.param(
            a_world(
                a_job().with_condition("Validated", "False", "SourceNotFound"),
                seconds=600,
                examination=SourceMissing("ConfigMap x does not exist yet"),
            ),
            "SourceNotFound",
            "ConfigMap x does not exist yet, and spec.timeouts.pending, 10m, is over",
            id="a source that did not come in time",
        ),
        pytest.param(
            a_world(
                a_job().examined().with_condition("Scheduled", "False", "Unschedulable"),
                seconds=600,
                output=OutputAbsent("PersistentVolumeClaim x does not exist yet"),
            ),
            "Unschedulable",
            "PersistentVolumeClaim x does not exist yet, and spec.timeouts.pending, 10m, is over",
            id="a volume that did not come in time",
        ),
        pytest.param(
            a_world(a_job().with_spec(timeouts={"total": "5m"}), seconds=300),
            "TotalTimeout",
            "5m",
            id="the total time is over",
        ),
        pytest.param(
            a_world(
                a_job().retrying(attempt=0, retries=3, due=0),
                seconds=5,
                examination=ServiceDown("ValidationUnavailable", "no answer"),
                output=OutputTaken("x"),
            ),
            "OutputConflict",
            "x",
            id="a retry looks at its output again",
        ),
    ],
)
def test_what_makes_a_job_fail_before_anything_is_started(world: World, reason: str, says: str) -> None:
    step = recorded(world)
    status = step.status
    assert (status.phase, status.reason) == (Phase.FAILED, reason)
    assert says in (status.message or "")
    assert is_true(status.conditions, "Failed")
    assert status.completion_time is not None
    assert [event.type for event in step.events] == ["Warning"]
    assert status.attempt == world.job.status.attempt


def test_an_attempt_is_recorded_before_anything_is_submitted() -> None:
    world = a_world(a_job(), examination=FOUND, output=OutputFree(), place=Admitted())
    status = recorded(world).status
    assert (status.phase, status.attempt, status.job_id) == (Phase.SCHEDULING, 1, None)
    assert status.source is not None
    assert status.source.hash == "sha256:source"
    assert status.circuit_metadata == FOUND.circuit
    assert status.selected_backend == "local_simulator"
    assert status.observed_generation == 1
    assert status.start_time == at(1)
    assert is_true(status.conditions, "Validated")
    assert is_true(status.conditions, "Scheduled")
    assert find_condition(status.conditions, "Submitted") is None


def test_a_warm_pod_is_known_and_runs_when_the_attempt_is_recorded() -> None:
    world = a_world(a_job(), examination=FOUND, output=OutputFree(), place=Admitted(SLOT))
    status = recorded(world).status
    assert (status.phase, status.attempt, status.job_id) == (Phase.RUNNING, 1, "warm-1")
    assert is_true(status.conditions, "Submitted")


def test_a_retry_is_a_new_attempt_with_times_of_its_own() -> None:
    job = a_job().retrying(attempt=2, retries=1, due=10)
    status = recorded(a_world(job, seconds=11, output=OutputFree(), place=Admitted())).status
    assert (status.attempt, status.retry_count, status.job_id) == (3, 1, None)
    assert status.next_retry_at is None
    assert status.reason is None
    scheduled = find_condition(status.conditions, "Scheduled")
    assert scheduled is not None
    assert scheduled.last_transition_time == at(11)


def test_a_limit_of_the_validation_service_is_no_verdict() -> None:
    unknown = Examined("sha256:source", unknown=("ValidationTimedOut", "building took longer than 10 s"))
    step = recorded(a_world(a_job(), examination=unknown, output=OutputFree(), place=Admitted()))
    validated = find_condition(step.status.conditions, "Validated")
    assert validated is not None
    assert (validated.status, validated.reason) == ("Unknown", "ValidationTimedOut")
    assert step.status.phase == Phase.SCHEDULING
    assert ("Warning", "ValidationTimedOut") in [(event.type, event.reason) for event in step.events]


def test_warnings_of_the_validation_are_told() -> None:
    found = Examined("sha256:source", warnings=("the method takes much memory",))
    step = recorded(a_world(a_job(), examination=found, output=OutputFree(), place=Admitted()))
    assert "the method takes much memory" in [event.message for event in step.events]


def test_a_validation_that_takes_long_is_written_once() -> None:
    status = recorded(a_world(a_job(), examination=Underway())).status
    assert status.phase == Phase.VALIDATING
    job = a_job().with_status(**{name: getattr(status, name) for name in status.__struct_fields__})
    assert decide(a_world(job, seconds=5, examination=Underway()), SETTINGS) == Rest()


def test_a_service_that_is_down_is_tried_again_as_the_retry_policy_says() -> None:
    down = ServiceDown("ValidationUnavailable", "no answer")
    status = recorded(a_world(a_job(), examination=down)).status
    assert (status.phase, status.reason, status.retry_count) == (Phase.RETRYING, "ValidationUnavailable", 1)
    assert status.attempt == 0
    assert status.next_retry_at == at(11)
    job = a_job().with_spec(retryPolicy={"maxRetries": 0})
    assert recorded(a_world(job, examination=down)).status.phase == Phase.FAILED


def test_when_a_retry_is_due_is_told_of_a_job_that_waits_for_one_alone() -> None:
    status = recorded(
        a_world(a_job().retrying(due=0).with_status(source=None), examination=Underway())
    ).status
    assert (status.phase, status.next_retry_at) == (Phase.VALIDATING, None)


def test_a_place_in_line_is_told_of_a_job_that_stands_in_it_alone() -> None:
    queued = a_job().examined().with_status(phase=Phase.SCHEDULING, reason="Queued", queue_position=3)
    status = recorded(a_world(queued, output=OutputAbsent("claim x does not exist yet"))).status
    assert (status.reason, status.queue_position) == ("Unschedulable", None)


class TestWaiting:
    """Waits in place are written once, say why, and have a time of their own."""

    def test_a_missing_source(self) -> None:
        missing = SourceMissing("ConfigMap x does not exist yet")
        step = recorded(a_world(a_job(), seconds=3, examination=missing))
        assert (step.status.phase, step.status.reason) == (Phase.PENDING, "SourceNotFound")
        assert [event.reason for event in step.events] == ["SourceNotFound"]
        validated = find_condition(step.status.conditions, "Validated")
        assert validated is not None
        assert validated.last_transition_time == at(3)
        job = with_status_of(a_job(), step)
        assert decide(a_world(job, seconds=3.5, examination=missing), SETTINGS) == Rest(1.0)
        assert decide(a_world(job, seconds=23, examination=missing), SETTINGS) == Rest(10.0)
        assert decide(a_world(job, seconds=203, examination=missing), SETTINGS) == Rest(30.0)
        assert decide(a_world(job, seconds=601, examination=missing), SETTINGS) == Rest(2.0)

    def test_looking_again_for_a_source_is_no_news_however_long_it_takes(self) -> None:
        """A clone takes longer than a moment: its job would go back and forth, with two writes for each look."""
        missing = SourceMissing("the repository has no file bell.py")
        job = with_status_of(a_job(), recorded(a_world(a_job(), seconds=3, examination=missing)))
        assert decide(a_world(job, seconds=9, examination=Underway()), SETTINGS) == Rest()

    def test_a_source_that_comes_lets_the_job_go_on(self) -> None:
        job = (
            a_job()
            .with_condition("Validated", "False", "SourceNotFound")
            .with_status(reason="SourceNotFound")
        )
        status = recorded(
            a_world(job, seconds=90, examination=FOUND, output=OutputFree(), place=Admitted())
        ).status
        assert status.reason is None
        assert is_true(status.conditions, "Validated")

    def test_a_volume_that_waits_after_a_queue_has_its_full_time(self) -> None:
        queued = a_job().examined().with_condition("Scheduled", "False", "Queued", since=0)
        absent = OutputAbsent("PersistentVolumeClaim x does not exist yet")
        status = recorded(a_world(queued, seconds=3000, output=absent)).status
        assert (status.phase, status.reason) == (Phase.SCHEDULING, "Unschedulable")
        scheduled = find_condition(status.conditions, "Scheduled")
        assert scheduled is not None
        assert scheduled.last_transition_time == at(3000)

    def test_a_queue_has_no_time_limit_but_the_total_one(self) -> None:
        queued = a_job().examined().with_spec(timeouts={"total": "2h"})
        step = recorded(a_world(queued, output=OutputFree(), place=Queued(7)))
        assert (step.status.phase, step.status.reason) == (Phase.SCHEDULING, "Queued")
        assert step.status.queue_position == 7
        assert [event.reason for event in step.events] == ["Queued"]
        assert not is_open(with_status_of(queued, step).view)
        waiting = with_status_of(queued, step)
        assert decide(a_world(waiting, seconds=5000, output=OutputFree(), place=Queued(7)), SETTINGS) == Rest(
            7.0
        )
        assert decide(a_world(waiting, seconds=7199, output=OutputFree(), place=Queued(7)), SETTINGS) == Rest(
            1.0
        )

    def test_a_new_position_is_written_without_another_event(self) -> None:
        step = recorded(a_world(a_job().examined(), output=OutputFree(), place=Queued(7)))
        again = recorded(a_world(with_status_of(a_job(), step), output=OutputFree(), place=Queued(6)))
        assert again.status.queue_position == 6
        assert again.events == ()

    def test_the_further_back_the_rarer_a_position_is_looked_up(self) -> None:
        rate: Callable[[int], float] = lambda jobs: sum(1 / queue_rest(n) for n in range(1, jobs + 1))  # noqa: E731
        assert rate(10_000) < 12


def with_status_of(job: JobBuilder, step: Record) -> JobBuilder:
    return job.with_status(**{name: getattr(step.status, name) for name in step.status.__struct_fields__})
