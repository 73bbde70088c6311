"""A pod that has ended and gone before anybody looked: what its deletion told decides."""

from __future__ import annotations

from typing import Any

import pytest

from api.phases import Phase
from api.views import QiskitJob
from kube import Pod
from reconcilers.job.decisions import Record
from reconcilers.job.departed import Departed
from reconcilers.job.machine import decide
from reconcilers.job.settings import JobSettings
from reconcilers.job.world import World
from tests.reconcilers.builders import T0, PodBuilder, a_job, a_pod

SETTINGS = JobSettings(executor_image="executor:1")
RUNNING = a_job().running()
EVICTED = a_pod().running().disrupted("EvictionByEvictionAPI").deleted()


def cause_without(pod: PodBuilder | None) -> tuple[str | None, str | None]:
    world = World(
        now=T0 + 5,
        job=RUNNING.view,
        departed=pod.view if pod is not None else None,
        pod_absent=True,
        result_absent=True,
    )
    step = decide(world, SETTINGS)
    assert isinstance(step, Record)
    return step.status.reason, step.status.message


@pytest.mark.parametrize(
    ("pod", "reason"),
    [
        pytest.param(None, "ExecutorLost", id="nothing is known"),
        pytest.param(a_pod().running(), "ExecutorLost", id="it ran when it was last seen"),
        pytest.param(EVICTED, "PodEvicted", id="it was being evicted"),
        pytest.param(EVICTED.ended(143, signal=15), "PodEvicted", id="it had ended from the eviction"),
        pytest.param(
            a_pod().disrupted("DeletionByTaintManager").deleted(), "NodeLost", id="its node was lost"
        ),
        pytest.param(a_pod().ended(137, reason="OOMKilled"), "OutOfMemory", id="it had run out of memory"),
    ],
)
def test_what_a_pod_said_last_tells_why_it_is_gone(pod: PodBuilder | None, reason: str) -> None:
    assert cause_without(pod)[0] == reason


def test_a_pod_that_only_ran_is_said_to_be_gone() -> None:
    assert cause_without(a_pod().running()) == cause_without(None)


def noted(pod: Pod, job: QiskitJob | None) -> Departed:
    departed = Departed()
    departed.note(pod, job)
    return departed


def test_the_pod_of_the_current_attempt_is_remembered() -> None:
    assert noted(EVICTED.view, RUNNING.view).last(RUNNING.view) == EVICTED.view


@pytest.mark.parametrize(
    ("pod", "job"),
    [
        pytest.param(EVICTED.view, None, id="of a job that is gone"),
        pytest.param(a_pod(job_uid="job-0").view, RUNNING.view, id="of another job of its name"),
        pytest.param(EVICTED.view, RUNNING.ended(Phase.COMPLETED).view, id="of a job that has ended"),
        pytest.param(EVICTED.view, a_job().running(attempt=2).view, id="of an attempt before"),
    ],
)
def test_no_other_pod_is_kept_in_memory(pod: Pod, job: QiskitJob | None) -> None:
    assert not noted(pod, job)._pods


@pytest.mark.parametrize(
    "later",
    [
        pytest.param(RUNNING.ended(Phase.FAILED).view, id="the job has ended"),
        pytest.param(a_job().running(attempt=2).view, id="another attempt runs"),
    ],
)
def test_it_is_forgotten_with_its_attempt(later: Any) -> None:
    departed = noted(EVICTED.view, RUNNING.view)
    assert departed.last(later) is None
    assert not departed._pods


def test_a_pod_that_the_job_has_not_recorded_tells_nothing_of_its_attempt() -> None:
    assert noted(a_pod("stranger").view, RUNNING.view).last(RUNNING.view) is None


def test_it_is_forgotten_with_its_job() -> None:
    departed = noted(EVICTED.view, RUNNING.view)
    departed.forget(RUNNING.view.metadata.uid)
    assert not departed._pods
