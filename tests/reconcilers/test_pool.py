"""Which pods a pool starts and ends, how it cools down, and what its backend's status says."""

from __future__ import annotations

import pytest

from api.conditions import find_condition
from backends.aer.warm import LABEL_TEMPLATE
from reconcilers.backend.cooling import FIRST_WAIT, LONGEST_WAIT, Cooling
from reconcilers.backend.pool import AT_ONCE, change, sort
from reconcilers.backend.refill import REFILL_AFTER, Refill
from reconcilers.backend.statuses import status_of
from reconcilers.backend.trouble import SILENT_AFTER, silent_at, trouble
from tests.reconcilers.builders import T0, PodBuilder, a_backend, a_warm_pod, at


def a_member(uid: str = "warm-1", template: str = "today", created: float = 0) -> PodBuilder:
    return (
        a_warm_pod(uid)
        .with_labels(**{LABEL_TEMPLATE: template})
        .with_metadata(creation_timestamp=at(created))
    )


READY = a_member("ready")
STARTING = a_member("starting").with_status(phase="Pending", container_statuses=())
BROKEN = a_member("broken").ended(1)
OUTDATED = a_member("outdated", template="yesterday")
LEAVING = a_member("leaving").deleted()
CLAIMED = a_member("claimed").with_annotations(**{"quantum.io/claim": "bell/job-1/1"})
IMPORTING = a_member("importing").with_metadata(annotations={})


def to_do(*pods: PodBuilder, size: int) -> tuple[int, list[str]]:
    done = change(sort((pod.view for pod in pods), "today"), size)
    return done.start, [pod.metadata.uid for pod in done.end]


@pytest.mark.parametrize(
    ("pods", "size", "want"),
    [
        pytest.param((), 0, (0, []), id="no pool"),
        pytest.param((), 2, (2, []), id="an empty pool is filled"),
        pytest.param((), 50, (AT_ONCE, []), id="a large one step by step"),
        pytest.param((READY, STARTING), 2, (0, []), id="who starts counts"),
        pytest.param((READY, IMPORTING), 2, (0, []), id="so does who runs and still imports"),
        pytest.param((READY, IMPORTING), 1, (0, ["importing"]), id="and it goes first"),
        pytest.param((READY,), 3, (2, []), id="what is missing"),
        pytest.param((READY, STARTING), 1, (0, ["starting"]), id="who is not ready goes first"),
        pytest.param((READY, STARTING), 0, (0, ["starting", "ready"]), id="a pool that is given up"),
        pytest.param(
            (a_member("old"), a_member("young", created=5)), 1, (0, ["young"]), id="then the youngest"
        ),
        pytest.param((BROKEN,), 1, (1, ["broken"]), id="a broken one is replaced"),
        pytest.param(
            (BROKEN.with_status(phase="Running"),),
            1,
            (1, ["broken"]),
            id="also beside a container that runs on",
        ),
        pytest.param((OUTDATED,), 1, (1, ["outdated"]), id="an outdated one is replaced"),
        pytest.param((LEAVING,), 1, (1, []), id="who leaves is left alone"),
        pytest.param((CLAIMED,), 1, (1, []), id="who was claimed is not the pool's any more"),
    ],
)
def test_what_makes_a_pool_as_it_should_be(
    pods: tuple[PodBuilder, ...], size: int, want: tuple[int, list[str]]
) -> None:
    assert to_do(*pods, size=size) == want


def test_pods_that_break_in_a_row_are_replaced_ever_more_slowly() -> None:
    cooling = Cooling()
    waits = []
    for number in range(9):
        cooling.observe([f"pod-{number}"], ready=0, now=0.0)
        waits.append(cooling.remaining(0.0))
    assert waits[:4] == [FIRST_WAIT, 2 * FIRST_WAIT, 4 * FIRST_WAIT, 8 * FIRST_WAIT]
    assert waits[-1] == LONGEST_WAIT


def test_a_pod_that_becomes_ready_ends_the_series() -> None:
    cooling = Cooling()
    cooling.observe(["a"], ready=0, now=0.0)
    cooling.observe(["a", "b"], ready=0, now=0.0)
    cooling.observe(["a", "b"], ready=1, now=100.0)
    cooling.observe(["c"], ready=0, now=200.0)
    assert cooling.remaining(200.0) == FIRST_WAIT


def test_the_same_broken_pod_counts_once() -> None:
    cooling = Cooling()
    for now in range(5):
        cooling.observe(["a"], ready=0, now=float(now))
    assert cooling.remaining(0.0) == FIRST_WAIT


class TestRefill:
    def test_a_pool_that_still_has_pods_waits_before_it_starts_others(self) -> None:
        refill = Refill()
        assert refill.wait(missing=True, ready=1, now=10.0) == REFILL_AFTER
        assert refill.wait(missing=True, ready=1, now=10.25) == REFILL_AFTER - 0.25
        assert refill.wait(missing=True, ready=1, now=11.0) == 0.0, "another claim does not put it off"
        assert refill.wait(missing=False, ready=2, now=12.0) == 0.0
        assert refill.wait(missing=True, ready=1, now=13.0) == REFILL_AFTER, "it was whole in between"

    def test_an_empty_pool_does_not_wait(self) -> None:
        refill = Refill()
        assert refill.wait(missing=True, ready=1, now=10.0) == REFILL_AFTER
        assert refill.wait(missing=True, ready=0, now=10.1) == 0.0


class TestSilence:
    """Pods that run and are not heard of."""

    def test_a_pod_may_take_its_time_to_import(self) -> None:
        pool = sort([IMPORTING.view], "today")
        assert trouble(pool, T0 + SILENT_AFTER - 1) is None
        assert silent_at(pool) == T0 + SILENT_AFTER

    def test_then_its_backend_says_that_it_does_not_reach_the_gateway(self) -> None:
        found = trouble(sort([IMPORTING.view, READY.view], "today"), T0 + SILENT_AFTER)
        assert found is not None
        reason, message = found
        assert reason == "GatewayUnavailable"
        assert "importing" in message
        assert "NetworkPolicies" in message

    def test_who_was_heard_of_and_who_does_not_run_yet_are_not_meant(self) -> None:
        pool = sort([READY.view, STARTING.view], "today")
        assert trouble(pool, T0 + 10 * SILENT_AFTER) is None
        assert silent_at(pool) is None


class TestStatus:
    def test_a_pool_that_fills(self) -> None:
        backend = a_backend(warmPool={"size": 2})
        pool = sort((READY.view, STARTING.view), "today")
        status = status_of(backend, pool, running=3, queued=1, trouble=None, now=T0)
        assert (status.ready, status.warm, status.running, status.queued) == (True, 1, 3, 1)
        assert status.observed_generation == 1
        filled = find_condition(status.conditions, "WarmPoolFilled")
        assert filled is not None
        assert (filled.status, filled.reason) == ("False", "Starting")

    def test_a_full_pool_and_no_pool(self) -> None:
        for size, reason in ((1, "Filled"), (0, "NoPool")):
            backend = a_backend(warmPool={"size": size})
            pool = sort((READY.view,) if size else (), "today")
            status = status_of(backend, pool, running=0, queued=0, trouble=None, now=T0)
            filled = find_condition(status.conditions, "WarmPoolFilled")
            assert filled is not None
            assert (filled.status, filled.reason) == ("True", reason)

    def test_a_pool_that_cannot_fill_says_why(self) -> None:
        backend = a_backend(warmPool={"size": 1})
        trouble = ("ImagePullFailed", "pod x: no such image")
        status = status_of(backend, sort((), "today"), running=0, queued=0, trouble=trouble, now=T0)
        filled = find_condition(status.conditions, "WarmPoolFilled")
        assert filled is not None
        assert (filled.status, filled.reason, filled.message) == ("False", *trouble)

    def test_a_backend_of_a_type_that_is_not_run(self) -> None:
        status = status_of(
            a_backend(type="ibm_quantum"), sort((), "x"), running=0, queued=0, trouble=None, now=T0
        )
        assert not status.ready
        ready = find_condition(status.conditions, "Ready")
        assert ready is not None
        assert (ready.status, ready.reason) == ("False", "TypeNotRun")
