"""Which job gets which warm pod: none is promised twice, and a pool that is going holds nobody up."""

from __future__ import annotations

from kube import Pod
from reconcilers.job.indexes import POD_INDEXERS
from reconcilers.job.settings import JobSettings
from reconcilers.job.slots import MOST_TRIED, Slots
from reconcilers.job.world import World
from tests.reconcilers.builders import T0, a_job, a_warm_pod

SETTINGS = JobSettings(executor_image="executor:1")


class Pods:
    """Cached pods, filed as the informer files them."""

    def __init__(self, *pods: Pod) -> None:
        self.pods = pods

    def get(self, namespace: str | None, name: str) -> Pod | None:
        return next((pod for pod in self.pods if pod.metadata.name == name), None)

    def by_index(self, index: str, value: str) -> list[Pod]:
        return [pod for pod in self.pods if value in POD_INDEXERS[index](pod)]

    def version_for(self, namespace: str | None) -> str:
        return "100"


def a_pool(size: int) -> Slots:
    return Slots(Pods(*(a_warm_pod(f"warm-{number}").view for number in range(size))), SETTINGS)


def a_world(uid: str = "job-1", *, tried: frozenset[str] = frozenset()) -> World:
    return World(now=T0, job=a_job(uid=uid).examined().view, slots_tried=tried)


def test_no_two_jobs_are_promised_one_pod_until_it_is_let_go() -> None:
    slots = a_pool(1)
    assert slots.promise(a_world("one")) is not None
    assert slots.promise(a_world("two")) is None
    slots.release("one")
    assert slots.promise(a_world("two")) is not None


def test_a_pod_that_could_not_be_claimed_is_not_tried_again() -> None:
    slots = a_pool(2)
    slot = slots.promise(a_world())
    assert slot is not None
    other = slots.promise(a_world(tried=frozenset({slot.id})))
    assert other is not None
    assert other.id != slot.id


def test_a_pool_that_is_going_costs_a_job_few_attempts() -> None:
    """Each attempt on a pod that is gone is a write, and a pass has an end."""
    slots = a_pool(100)
    tried: frozenset[str] = frozenset()
    while (slot := slots.promise(a_world(tried=tried))) is not None:
        tried |= {slot.id}
    assert len(tried) == MOST_TRIED
