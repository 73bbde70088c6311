"""Every way from a recorded attempt to its end: what is decided, on what."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from api.conditions import find_condition, is_true
from api.phases import TRANSITIONS, Phase
from backends import Attempt, Handle, Owner, Slot, State
from messages.failure import EXIT_CODES, ExecutorReason, Failure
from reconcilers.job.decisions import (
    Decision,
    DeleteJob,
    FindBackend,
    FindExecution,
    FindResult,
    FindState,
    Record,
    Rest,
    Stop,
    Submit,
    TakePlace,
    TryLater,
)
from reconcilers.job.machine import decide
from reconcilers.job.settings import JobSettings
from reconcilers.job.world import Admitted, OutputFree, World
from tests.reconcilers.builders import (
    NAMESPACE,
    T0,
    JobBuilder,
    a_backend,
    a_job,
    a_pod,
    a_result,
    a_warm_pod,
    at,
)

SETTINGS = JobSettings(executor_image="executor:1", default_max_execution=100)
OWNER = Owner(namespace=NAMESPACE, name="bell", uid="job-1")
HANDLE = Handle(attempt=Attempt(owner=OWNER, number=1), id="pod-1", name="bell-1")
WARM = Slot(id="warm-1", name="warm-1", version="1")
CLAIMED = Handle(attempt=Attempt(owner=OWNER, number=1), id="warm-1", name="warm-1")
SCHEDULED = a_job().scheduled()
SUBMITTED = a_job().scheduled(job_id="pod-1")
RUNNING = a_job().running()
TOTAL = {"timeouts": {"total": "5m"}}


def a_world(job: JobBuilder, *pods: Any, seconds: float = 5, **known: Any) -> World:
    return World(now=T0 + seconds, job=job.view, pods=tuple(pod.view for pod in pods), **known)


def step_of(world: World) -> Decision:
    step = decide(world, SETTINGS)
    if isinstance(step, Record):
        assert may_be_seen_after(world.job.status.phase, step.status.phase), step
    return step


def may_be_seen_after(current: Phase, following: Phase) -> bool:
    """Whether a watcher may see this change: phases that pass at once are never written."""
    reached, frontier = {current}, [current]
    while frontier:
        new = TRANSITIONS[frontier.pop()] - reached
        reached |= new
        frontier += new
    return following in reached


def recorded(world: World) -> Record:
    step = step_of(world)
    assert isinstance(step, Record), step
    return step


@pytest.mark.parametrize(
    ("world", "want"),
    [
        pytest.param(a_world(SCHEDULED), Submit(), id="recorded and not submitted"),
        pytest.param(
            a_world(a_job().running(job_id="warm-1"), slot_pod=a_warm_pod().view),
            Submit(),
            id="a warm pod that is recorded and not claimed",
        ),
        pytest.param(
            a_world(a_job().running(job_id="warm-1"), place=Admitted(WARM)),
            Submit(),
            id="a warm pod that left the cache while it was recorded",
        ),
        pytest.param(
            a_world(a_job().running(job_id="warm-1"), place=Admitted(WARM), handle=CLAIMED, handle_since=T0),
            Rest(10.0),
            id="a warm pod that was claimed and left the cache",
        ),
        pytest.param(
            a_world(SCHEDULED, handle=HANDLE, handle_since=T0, seconds=0.25),
            Rest(0.75),
            id="what was just submitted may run in a moment: one write says both",
        ),
        pytest.param(
            a_world(SCHEDULED, a_pod(), handle=HANDLE, handle_since=T0, seconds=0.25),
            Rest(0.75),
            id="also when its pod is seen",
        ),
        pytest.param(
            a_world(SUBMITTED, handle=HANDLE, handle_since=T0),
            Rest(10.0),
            id="what was just submitted shows up in the cache by itself",
        ),
        pytest.param(
            a_world(SUBMITTED, handle=HANDLE, handle_since=T0, seconds=11),
            FindExecution(),
            id="what does not show up is asked for",
        ),
        pytest.param(
            a_world(SUBMITTED, handle=HANDLE, handle_since=T0 + 3600),
            FindExecution(),
            id="nor does it wait for a clock that was set back",
        ),
        pytest.param(a_world(RUNNING), FindExecution(), id="a pod that the cache lacks is asked for"),
        pytest.param(
            a_world(RUNNING, pod_absent=True), FindResult(), id="before a pod is lost its result is asked for"
        ),
        pytest.param(
            a_world(RUNNING, a_pod().ended(0)), FindResult(), id="a pod that ended well has a result"
        ),
        pytest.param(
            a_world(RUNNING, a_pod().ended(1)), FindResult(), id="a pod that failed may have handed in before"
        ),
        pytest.param(
            a_world(SUBMITTED, a_pod(), seconds=5), Rest(595.0), id="a pod that is pending has its time"
        ),
        pytest.param(
            a_world(RUNNING, a_pod().running(), seconds=5),
            Rest(125.0),
            id="a run is looked at when its time and the grace are over",
        ),
        pytest.param(
            a_world(RUNNING, a_pod().running(), seconds=130),
            FindResult(),
            id="a run that takes too long may have handed in just now",
        ),
        pytest.param(
            a_world(RUNNING.with_spec(execution={"maxExecutionTime": "1m"}), a_pod().running()),
            Rest(85.0),
            id="a job may say how long it takes",
        ),
        pytest.param(
            a_world(RUNNING.with_spec(**TOTAL), a_pod().running(), seconds=290),
            FindResult(),
            id="too long comes first",
        ),
        pytest.param(
            a_world(SUBMITTED.with_spec(**TOTAL), a_pod(), seconds=290),
            Rest(10.0),
            id="a rest ends when the total time does",
        ),
        pytest.param(
            a_world(SUBMITTED.with_spec(**TOTAL), a_pod(), seconds=300),
            FindResult(),
            id="the total time is over, unless there is a result",
        ),
        pytest.param(
            a_world(RUNNING.with_spec(cancel=True), a_pod().running()),
            FindResult(),
            id="a result that is stored beats a cancel",
        ),
        pytest.param(
            a_world(SUBMITTED, a_pod().deleted(by=10), seconds=20),
            Rest(20.0),
            id="a pod that is being deleted has its grace",
        ),
        pytest.param(
            a_world(SUBMITTED, a_pod(), a_pod("pod-2", attempt=2)),
            Rest(2.0),
            id="pods of an attempt that this view does not know: the view is old",
        ),
        pytest.param(
            a_world(RUNNING, a_pod("forged", attempt=99).running(), seconds=61),
            FindExecution(),
            id="a pod of an attempt that never was holds nobody up for ever",
        ),
        pytest.param(
            a_world(SUBMITTED, a_pod().unschedulable(), seconds=1),
            Rest(1.0),
            id="what holds a pod up for a moment is not told",
        ),
        pytest.param(
            a_world(a_job().running(job_id="warm-1"), slot_gone=True),
            TakePlace(),
            id="a warm pod that was gone",
        ),
    ],
)
def test_the_next_step(world: World, want: object) -> None:
    assert step_of(world) == want


def test_the_pod_is_recorded_before_it_can_ask_for_the_work() -> None:
    step = recorded(a_world(SCHEDULED, handle=HANDLE, handle_since=T0, seconds=1))
    assert (step.status.phase, step.status.job_id) == (Phase.SCHEDULING, "pod-1")
    assert is_true(step.status.conditions, "Submitted")
    assert [event.reason for event in step.events] == ["Submitted"]


def test_a_clock_that_is_set_back_delays_no_record() -> None:
    assert recorded(a_world(SCHEDULED, handle=HANDLE, handle_since=T0 + 3600)).status.job_id == "pod-1"


def test_a_pod_that_runs_already_is_recorded_in_the_same_write() -> None:
    step = recorded(a_world(SCHEDULED, a_pod().running()))
    assert (step.status.phase, step.status.job_id) == (Phase.RUNNING, "pod-1")
    assert [event.reason for event in step.events] == ["Submitted", "Running"]


def test_a_pod_of_an_earlier_process_is_recorded_at_once() -> None:
    assert recorded(a_world(SCHEDULED, a_pod())).status.job_id == "pod-1"


def test_a_pod_that_ended_before_it_was_recorded_is_recorded_with_its_end() -> None:
    status = recorded(a_world(SCHEDULED, a_pod().ended(139), result_absent=True)).status
    assert (status.phase, status.job_id) == (Phase.FAILED, "pod-1")


@pytest.mark.parametrize("job", [SCHEDULED, SUBMITTED])
def test_a_pod_that_only_says_that_it_is_the_jobs_is_not_believed(job: JobBuilder) -> None:
    pretender = a_pod("pretender").with_metadata(name="pretender").running()
    assert step_of(a_world(job, pretender)) == step_of(a_world(job))


def test_a_pod_that_begins_to_run() -> None:
    step = recorded(a_world(SUBMITTED, a_pod().running()))
    assert step.status.phase == Phase.RUNNING
    assert [event.reason for event in step.events] == ["Running"]


def test_what_holds_a_pod_up_is_shown_once_and_taken_back() -> None:
    stuck = a_pod().waiting("ImagePullBackOff", "not found")
    step = recorded(a_world(SUBMITTED, stuck))
    assert (step.status.phase, step.status.reason) == (Phase.SCHEDULING, "ImagePullFailed")
    assert "not found" in (step.status.message or "")
    shown = SUBMITTED.with_status(reason=step.status.reason, message=step.status.message)
    assert step_of(a_world(shown, stuck)) == Rest(595.0)
    back = recorded(a_world(shown, a_pod().waiting("ContainerCreating")))
    assert back.status.reason is None


@pytest.mark.parametrize(
    ("pod", "reason"),
    [
        (a_pod().waiting("ImagePullBackOff"), "ImagePullFailed"),
        (a_pod().unschedulable(), "Unschedulable"),
        (a_pod().waiting("CreateContainerConfigError"), "PendingTimeout"),
        (a_pod(), "PendingTimeout"),
    ],
)
def test_a_pod_that_does_not_begin_in_time_fails_with_its_cause(pod: Any, reason: str) -> None:
    status = recorded(a_world(SUBMITTED, pod, seconds=600, state=State.QUEUED)).status
    assert (status.phase, status.reason) == (Phase.FAILED, reason)
    assert "spec.timeouts.pending, 10m" in (status.message or "")


@pytest.mark.parametrize("state", [State.RUNNING, State.SUCCEEDED, State.FAILED, State.CANCELLED])
def test_a_pod_that_only_an_old_cache_shows_as_pending_does_not_fail_its_job(state: State) -> None:
    """After an outage the first pass may come before the first event: the pod has begun long since."""
    assert step_of(a_world(SUBMITTED, a_pod(), seconds=600)) == FindState()
    assert step_of(a_world(SUBMITTED, a_pod(), seconds=600, state=state)) == Rest(10.0)


def test_a_pod_that_was_made_late_has_all_the_time_to_begin() -> None:
    """The operator was away between the attempt's record and its pod: the pod is not to blame."""
    late = a_pod().with_metadata(creation_timestamp=at(700))
    assert step_of(a_world(SUBMITTED, late, seconds=705)) == Rest(595.0)
    assert step_of(a_world(SUBMITTED, late, seconds=1300)) == FindState()


def test_a_failed_jobs_pod_that_still_waits_is_ended() -> None:
    job = a_job().ended(Phase.FAILED)
    world = a_world(job, a_pod())
    step = step_of(world)
    assert step == Stop(a_pod().view)
    assert step_of(a_world(job, a_pod(), stopped=frozenset({"pod-1"}))) == Rest()
    assert step_of(a_world(job, a_pod().deleted())) == Rest()
    assert step_of(a_world(job, a_pod().ended(1))) == Rest(), "it stays for kubectl logs"


def report(reason: ExecutorReason, message: str = "so it is", **more: Any) -> Any:
    text = msgspec.json.encode(Failure(reason=reason, message=message, **more)).decode()
    return a_pod().ended(EXIT_CODES[reason], reason="Error", message=text)


@pytest.mark.parametrize(
    ("pod", "phase", "reason"),
    [
        (report(ExecutorReason.USER_CODE_ERROR), Phase.FAILED, "UserCodeError"),
        (report(ExecutorReason.GATEWAY_UNAVAILABLE), Phase.RETRYING, "GatewayUnavailable"),
        (a_pod().ended(137, reason="OOMKilled"), Phase.FAILED, "OutOfMemory"),
        (a_pod().ended(139), Phase.FAILED, "ExecutorCrashed"),
        (a_pod().ended(0), Phase.RETRYING, "ExecutorLost"),
        (a_pod().with_status(phase="Failed", reason="Evicted"), Phase.RETRYING, "PodEvicted"),
    ],
)
def test_an_attempt_that_ended_without_a_result(pod: Any, phase: Phase, reason: str) -> None:
    status = recorded(a_world(RUNNING, pod, result_absent=True)).status
    assert (status.phase, status.reason) == (phase, reason)
    scheduled = find_condition(status.conditions, "Scheduled")
    assert scheduled is not None
    assert scheduled.status == "False"


@pytest.mark.parametrize(
    ("pod", "phase", "reason"),
    [
        (report(ExecutorReason.USER_CODE_ERROR), Phase.FAILED, "UserCodeError"),
        (a_pod().ended(0), Phase.RETRYING, "ExecutorLost"),
    ],
)
@pytest.mark.parametrize("seconds", [12, 700, -3600])
def test_an_executor_that_ended_beside_a_container_that_runs_on(
    pod: Any, phase: Phase, reason: str, seconds: float
) -> None:
    """A proxy that a webhook put in keeps the pod's phase at Running; it never began to wait again."""
    beside = pod.with_status(phase="Running")
    assert step_of(a_world(RUNNING, beside, seconds=seconds)) == FindResult()
    status = recorded(a_world(RUNNING, beside, seconds=seconds, result_absent=True)).status
    assert (status.phase, status.reason) == (phase, reason)


def test_an_executor_that_ended_a_moment_ago_has_a_pod_that_may_say_more() -> None:
    """A kubelet says that the container ended before it says that the pod did, and why."""
    ended = a_pod().ended(137).with_status(phase="Running")
    assert step_of(a_world(RUNNING, ended, seconds=3)) == Rest(9.0)
    assert step_of(a_world(RUNNING, ended, seconds=1)) == Rest(11.0), "clocks differ"
    evicted = ended.with_status(phase="Failed", reason="Evicted")
    assert step_of(a_world(RUNNING, evicted, seconds=3)) == FindResult()


def test_an_attempt_is_submitted_with_what_its_backend_says_or_not_at_all() -> None:
    """The process died after the record: the next one looks for the backend again, and it may be gone."""
    job = SCHEDULED.with_spec(backend={"type": "local_simulator", "name": "pool"})
    assert step_of(a_world(job)) == FindBackend()
    assert step_of(a_world(job, backend=a_backend())) == Submit()
    status = recorded(a_world(job, backend_absent=True)).status
    assert (status.phase, status.reason) == (Phase.FAILED, "BackendNotFound")


def test_a_pod_that_is_gone_is_lost() -> None:
    status = recorded(a_world(RUNNING, pod_absent=True, result_absent=True)).status
    assert (status.phase, status.reason) == (Phase.RETRYING, "ExecutorLost")


def test_a_pod_whose_node_does_not_delete_it_is_lost_with_its_node() -> None:
    pod = a_pod().running().deleted(by=10)
    status = recorded(a_world(RUNNING, pod, seconds=40, result_absent=True)).status
    assert (status.phase, status.reason) == (Phase.RETRYING, "NodeLost")
    retried = RUNNING.with_status(phase=Phase.RETRYING).with_condition("Scheduled", "False")
    evicted = a_pod().running().disrupted("EvictionByEvictionAPI").deleted(by=10)
    again = recorded(a_world(RUNNING, evicted, seconds=40, result_absent=True)).status
    assert again.reason == "PodEvicted"
    assert retried.view.status.phase == Phase.RETRYING


def test_a_run_that_takes_too_long_is_ended() -> None:
    status = recorded(a_world(RUNNING, a_pod().running(), seconds=131, result_absent=True)).status
    assert (status.phase, status.reason) == (Phase.FAILED, "ExecutionTimeout")
    failed = RUNNING.with_status(phase=Phase.FAILED)
    assert isinstance(step_of(a_world(failed, a_pod().running(), seconds=131)), Stop)


@pytest.mark.parametrize("reason", ["PodRejected", "QuotaExceeded"])
def test_a_submission_that_is_refused(reason: str) -> None:
    status = recorded(a_world(SCHEDULED, refusal=(reason, "the cluster said no"))).status
    want = Phase.RETRYING if reason == "QuotaExceeded" else Phase.FAILED
    assert (status.phase, status.reason, status.message) == (want, reason, "the cluster said no")


class TestAClusterThatDoesNotAnswerProperly:
    """A NetworkPolicy or a pod that cannot be made is nobody's refusal, and may last."""

    WHY = 'InternalError: failed calling webhook "pods.example.org": dial tcp 10.0.0.7:443: refused'

    def test_a_moment_of_it_is_not_worth_a_write(self) -> None:
        world = a_world(SCHEDULED, obstacle=(self.WHY, 7.0), seconds=1)
        assert step_of(world) == TryLater(self.WHY, 7.0)

    def test_then_it_is_shown_once_while_the_job_waits(self) -> None:
        step = recorded(a_world(SCHEDULED, obstacle=(self.WHY, None)))
        status = step.status
        assert (status.phase, status.reason, status.retry_count) == (
            Phase.SCHEDULING,
            "ProviderUnavailable",
            0,
        )
        assert self.WHY in (status.message or "")
        assert [event.reason for event in step.events] == ["ProviderUnavailable"]
        shown = SCHEDULED.with_status(reason=status.reason, message=status.message)
        other_port = self.WHY.replace("10.0.0.7:443", "10.0.0.9:8443")
        for why in (self.WHY, other_port):
            assert step_of(a_world(shown, obstacle=(why, None))) == TryLater(why)

    def test_another_cause_is_shown_without_another_event(self) -> None:
        status = recorded(a_world(SCHEDULED, obstacle=(self.WHY, None))).status
        shown = SCHEDULED.with_status(reason=status.reason, message=status.message)
        step = recorded(a_world(shown, obstacle=("ServerTimeout: etcd is slow", None)))
        assert "etcd is slow" in (step.status.message or "")
        assert step.events == ()

    def test_at_timeouts_pending_the_attempt_is_over(self) -> None:
        status = recorded(a_world(SCHEDULED, obstacle=(self.WHY, None), seconds=601)).status
        assert (status.phase, status.reason) == (Phase.RETRYING, "ProviderUnavailable")
        assert f"spec.timeouts.pending, 10m: {self.WHY}" in (status.message or "")

    def test_a_pod_that_was_made_all_the_same_is_followed(self) -> None:
        world = a_world(SCHEDULED, a_pod(), obstacle=(self.WHY, None))
        assert recorded(world).status.job_id == "pod-1"

    def test_nothing_of_it_stays_once_the_pod_is_there(self) -> None:
        status = recorded(a_world(SCHEDULED, obstacle=(self.WHY, None))).status
        shown = SCHEDULED.with_status(reason=status.reason, message=status.message)
        after = recorded(a_world(shown, a_pod())).status
        assert (after.job_id, after.reason, after.message) == (
            "pod-1",
            None,
            "the executor's pod is starting",
        )

    def test_nor_once_a_warm_pod_is_claimed(self) -> None:
        job = a_job().running(job_id="warm-1")
        shown = recorded(a_world(job, slot_pod=a_warm_pod().view, obstacle=(self.WHY, None))).status
        assert (shown.phase, shown.reason) == (Phase.RUNNING, "ProviderUnavailable")
        claimed = a_pod("warm-1").running()
        held_up = job.with_status(reason=shown.reason, message=shown.message)
        after = recorded(a_world(held_up, claimed)).status
        assert (after.phase, after.reason, after.message) == (Phase.RUNNING, None, "attempt 1 runs")


def test_a_warm_pod_that_was_gone_costs_no_retry() -> None:
    job = a_job().running(job_id="warm-1")
    cold = recorded(a_world(job, slot_gone=True, place=Admitted())).status
    assert (cold.phase, cold.attempt, cold.job_id, cold.retry_count) == (Phase.SCHEDULING, 2, None, 0)
    slot = Slot(id="warm-2", name="warm-2", version="1")
    warm = recorded(a_world(job, slot_gone=True, place=Admitted(slot))).status
    assert (warm.phase, warm.attempt, warm.job_id) == (Phase.RUNNING, 2, "warm-2")


def test_an_attempt_after_a_warm_pod_that_was_gone_is_not_submitted_yet() -> None:
    world = a_world(a_job().running(job_id="warm-1"), slot_gone=True, place=Admitted())
    assert find_condition(recorded(world).status.conditions, "Submitted") is None


def test_a_warm_pod_that_another_job_has_costs_no_retry() -> None:
    """Whoever recorded it died before the claim. The pool's pod is still to be seen: it never was this job's."""
    job = a_job().running(job_id="warm-1")
    assert step_of(a_world(job, slot_taken=True)) == FindExecution(), "the cache may lag behind the claim"
    world = a_world(job, slot_taken=True, pod_absent=True)
    assert step_of(world) == TakePlace()
    status = recorded(msgspec.structs.replace(world, place=Admitted())).status
    assert (status.phase, status.attempt, status.retry_count) == (Phase.SCHEDULING, 2, 0)


class TestRetries:
    def test_the_wait_doubles_and_is_bounded(self) -> None:
        waits = []
        for retries in range(8):
            job = RUNNING.with_status(retry_count=retries).with_spec(retryPolicy={"maxRetries": 100})
            status = recorded(a_world(job, seconds=0, pod_absent=True, result_absent=True)).status
            waits.append(status.next_retry_at)
        assert waits == [at(seconds) for seconds in (10, 20, 40, 80, 160, 300, 300, 300)]

    def test_a_wait_beyond_the_calendar_is_recorded_as_its_end(self) -> None:
        """The schema takes it; a decision that fails on it would be tried again without end."""
        forever = "9" * 30 + "h"
        job = RUNNING.with_spec(retryPolicy={"backoff": {"initial": forever, "maximum": forever}})
        status = recorded(a_world(job, pod_absent=True, result_absent=True)).status
        assert (status.phase, status.next_retry_at) == (Phase.RETRYING, "9999-12-31T23:59:59Z")

    def test_the_last_retry_is_followed_by_failed(self) -> None:
        job = RUNNING.with_status(retry_count=3)
        status = recorded(a_world(job, pod_absent=True, result_absent=True)).status
        assert (status.phase, status.reason, status.retry_count) == (Phase.FAILED, "ExecutorLost", 3)
        assert "after 3 retries" in (status.message or "")

    def test_a_lost_attempts_pod_that_still_runs_is_ended(self) -> None:
        job = a_job().retrying()
        assert isinstance(step_of(a_world(job, a_pod().running())), Stop)

    def test_a_lost_attempts_result_counts_all_the_same(self) -> None:
        job = a_job().retrying()
        status = recorded(a_world(job, result=a_result())).status
        assert status.phase == Phase.COMPLETED

    def test_pods_of_earlier_attempts_are_ended_and_the_current_one_is_not(self) -> None:
        job = a_job().running(attempt=2, job_id="pod-2")
        old, new = a_pod().running(), a_pod("pod-2", attempt=2).running()
        assert step_of(a_world(job, new, old)) == Stop(old.view)
        assert isinstance(step_of(a_world(job, new)), Rest)


class TestCancelAndSuspend:
    def test_a_cancelled_job_says_so_and_then_its_pod_is_ended(self) -> None:
        job = RUNNING.with_spec(cancel=True)
        status = recorded(a_world(job, a_pod().running(), result_absent=True)).status
        assert (status.phase, status.reason) == (Phase.CANCELLED, "Cancelled")
        assert status.completion_time == at(5)
        assert isinstance(step_of(a_world(a_job().ended(Phase.CANCELLED), a_pod().running())), Stop)

    def test_a_job_can_be_cancelled_before_it_began(self) -> None:
        status = recorded(a_world(a_job().with_spec(cancel=True))).status
        assert (status.phase, status.attempt) == (Phase.CANCELLED, 0)

    def test_a_suspended_job_waits_without_a_pod(self) -> None:
        job = RUNNING.with_spec(suspend=True)
        step = recorded(a_world(job, a_pod().running()))
        status = step.status
        assert (status.phase, status.reason, status.job_id) == (Phase.PENDING, "Suspended", None)
        assert (status.attempt, status.retry_count) == (1, 0)
        assert is_true(status.conditions, "Suspended")
        now_suspended = job.with_status(**{name: getattr(status, name) for name in status.__struct_fields__})
        assert isinstance(step_of(a_world(now_suspended, a_pod().running())), Stop)
        assert step_of(a_world(now_suspended)) == Rest()

    @pytest.mark.parametrize("retries", [0, 3])
    def test_a_suspension_that_was_taken_back_unseen_costs_no_retry(self, retries: int) -> None:
        job = RUNNING.with_spec(retryPolicy={"maxRetries": retries}).with_metadata(generation=3)
        stopped = report(ExecutorReason.SUSPENDED)
        assert step_of(a_world(job, stopped)) == FindResult(), "it may have handed in before"
        assert step_of(a_world(job, stopped, result_absent=True)) == TakePlace()
        status = recorded(a_world(job, stopped, result_absent=True, place=Admitted())).status
        assert (status.phase, status.attempt, status.retry_count) == (Phase.SCHEDULING, 2, 0)
        assert (status.reason, status.job_id) == (None, None)

    def test_an_executor_that_says_so_again_and_again_spends_retries(self) -> None:
        """One change of the spec stops one attempt."""
        job = RUNNING.with_metadata(generation=3)
        stopped = report(ExecutorReason.SUSPENDED)
        status = recorded(a_world(job, stopped, result_absent=True, place=Admitted())).status
        again = job.with_status(**{name: getattr(status, name) for name in status.__struct_fields__})
        again = again.with_status(job_id="pod-2", phase=Phase.RUNNING)
        text = msgspec.json.encode(Failure(reason="Suspended", message="so it is")).decode()
        pod = a_pod("pod-2", attempt=2).ended(EXIT_CODES[ExecutorReason.SUSPENDED], message=text)
        after = recorded(a_world(again, pod, result_absent=True)).status
        assert (after.phase, after.reason, after.retry_count) == (Phase.RETRYING, "ExecutorLost", 1)

    def test_a_job_that_is_created_suspended_says_so(self) -> None:
        status = recorded(a_world(a_job().with_spec(suspend=True))).status
        assert (status.phase, status.reason) == (Phase.PENDING, "Suspended")

    def test_a_resumed_job_starts_anew_and_is_not_suspended_any_more(self) -> None:
        job = (
            a_job()
            .examined()
            .with_status(reason="Suspended", attempt=1)
            .with_condition("Suspended", "True", "Suspended")
            .with_condition("Scheduled", "False", "Suspended")
        )
        status = recorded(a_world(job, output=OutputFree(), place=Admitted())).status
        assert (status.phase, status.attempt, status.reason) == (Phase.SCHEDULING, 2, None)
        suspended = find_condition(status.conditions, "Suspended")
        assert suspended is not None
        assert (suspended.status, suspended.reason) == ("False", "Resumed")

    def test_a_wait_for_a_source_begins_anew_after_a_suspension(self) -> None:
        job = a_job().with_condition("Validated", "False", "SourceNotFound").with_spec(suspend=True)
        status = recorded(a_world(job)).status
        validated = find_condition(status.conditions, "Validated")
        assert validated is not None
        assert validated.status == "Unknown"


class TestDeletion:
    """Kubernetes takes a job's pods with it, but not before the job itself is gone."""

    GOING = RUNNING.with_metadata(deletion_timestamp=at(1), finalizers=("example.org/keep",))

    def test_a_job_that_somebodys_finalizer_keeps_needs_no_pod_that_runs(self) -> None:
        assert step_of(a_world(self.GOING, a_pod().running())) == Stop(a_pod().running().view)
        assert step_of(a_world(self.GOING, a_pod().running().deleted())) == Rest()
        assert step_of(a_world(self.GOING, a_pod().ended(0))) == Rest()

    def test_whoever_deletes_a_job_without_its_pods_keeps_them(self) -> None:
        orphaning = self.GOING.with_metadata(finalizers=("orphan",))
        assert step_of(a_world(orphaning, a_pod().running())) == Rest()


class TestSettling:
    def test_a_result_completes_the_job(self) -> None:
        pod = a_pod().running(since=3)
        step = recorded(a_world(RUNNING, pod, seconds=7, result=a_result()))
        status = step.status
        assert status.phase == Phase.COMPLETED
        assert status.results is not None
        assert status.results.location == "bell-results"
        assert status.message == "the result is in bell-results"
        assert status.results.digest == "sha256:document"
        assert status.results.shots == 1024
        assert status.results.execution_time == "13ms"
        assert status.results.top_counts == {"00": 520, "11": 504}
        assert status.metrics is not None
        assert status.metrics.submission_time == at(0)
        assert status.metrics.queue_time == "3s"
        assert status.metrics.execution_time == "250ms"
        assert status.metrics.total_time == "7s"
        assert status.metrics.memory_usage == "103Mi"
        assert status.metrics.cpu_usage == "310ms"
        assert status.circuit_metadata is not None
        assert status.circuit_metadata.depth == 3
        assert status.backend_info is not None
        assert (status.backend_info.version, status.backend_info.qubits) == ("0.18.2", None)
        assert is_true(status.conditions, "ResultsStored")
        assert is_true(status.conditions, "Complete")
        assert [event.reason for event in step.events] == ["Completed"]

    def test_a_completed_job_says_how_many_qubits_its_backend_takes(self) -> None:
        world = a_world(RUNNING, result=a_result(), backend=a_backend(limits={"qubits": 5}))
        status = recorded(world).status
        assert status.backend_info is not None
        assert status.backend_info.qubits == 5

    def test_a_result_whose_place_was_taken_says_whose_it_is_not(self) -> None:
        status = recorded(a_world(RUNNING, result=a_result(name="result-job-1"))).status
        assert status.message == (
            "the result is in result-job-1, because ConfigMap bell-results exists and is not this job's"
        )
        assert status.results is not None
        assert status.results.location == "result-job-1"

    @pytest.mark.parametrize("summary", ["{", '{"x": ' + "[" * 4000], ids=["cut off", "nested without end"])
    def test_a_result_whose_summary_cannot_be_read_completes_the_job_all_the_same(self, summary: str) -> None:
        result = a_result()
        annotations = {**result.metadata.annotations, "quantum.io/summary": summary}
        result = msgspec.structs.replace(
            result, metadata=msgspec.structs.replace(result.metadata, annotations=annotations)
        )
        status = recorded(a_world(RUNNING, result=result)).status
        assert status.phase == Phase.COMPLETED
        assert status.results is not None
        assert status.results.digest == "sha256:document"
        assert status.results.shots is None

    @pytest.mark.parametrize("spec", [{"cancel": True}, {"suspend": True}, TOTAL])
    def test_a_result_is_never_thrown_away(self, spec: dict[str, Any]) -> None:
        status = recorded(a_world(RUNNING.with_spec(**spec), seconds=400, result=a_result())).status
        assert status.phase == Phase.COMPLETED


class TestTheEnd:
    @pytest.mark.parametrize("phase", [Phase.COMPLETED, Phase.FAILED, Phase.CANCELLED])
    def test_an_ended_job_rests_for_ever_without_a_time_to_live(self, phase: Phase) -> None:
        assert step_of(a_world(a_job().ended(phase), seconds=10_000)) == Rest()

    def test_an_ended_job_is_deleted_when_its_time_to_live_is_over(self) -> None:
        job = a_job().ended(Phase.COMPLETED, at_second=60).with_spec(ttlSecondsAfterFinished=30)
        assert step_of(a_world(job, seconds=61)) == Rest(29.0)
        assert step_of(a_world(job, seconds=90)) == DeleteJob()
        now = a_job().ended(Phase.COMPLETED).with_spec(ttlSecondsAfterFinished=0)
        assert step_of(a_world(now, seconds=60)) == DeleteJob()

    def test_nothing_leaves_a_terminal_phase(self) -> None:
        for phase in (Phase.FAILED, Phase.CANCELLED, Phase.COMPLETED):
            job = a_job().ended(phase).with_spec(cancel=True)
            assert step_of(a_world(job, result=a_result())) == Rest()
