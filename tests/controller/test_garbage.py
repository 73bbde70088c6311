"""Garbage collection is measured, and told to leave the caches alone."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from controller.garbage import OLD_THRESHOLD, YOUNG_THRESHOLD, GarbagePolicy
from controller.metrics import Metrics


@pytest.fixture
def policy() -> Iterator[tuple[GarbagePolicy, Metrics]]:
    before = gc.get_threshold()
    metrics = Metrics()
    policy = GarbagePolicy(metrics)
    policy.install()
    yield policy, metrics
    policy.remove()
    gc.set_threshold(*before)


def test_every_collection_is_measured_by_generation(policy: tuple[GarbagePolicy, Metrics]) -> None:
    _, metrics = policy
    gc.collect(0)
    gc.collect(2)
    value = metrics.registry.get_sample_value
    assert (value("qiskit_operator_gc_pause_seconds_count", {"generation": "2"}) or 0) >= 1
    assert (value("qiskit_operator_gc_pause_seconds_sum", {"generation": "2"}) or 0) > 0


def test_what_is_alive_when_the_caches_are_full_is_not_walked_again(
    policy: tuple[GarbagePolicy, Metrics],
) -> None:
    cached = [{"object": [number]} for number in range(1000)]
    policy[0].settle()
    assert gc.get_freeze_count() > len(cached)
    assert gc.get_threshold() == (YOUNG_THRESHOLD, 20, OLD_THRESHOLD)
    walked = {id(obj) for obj in gc.get_objects()}
    assert not walked & {id(obj) for obj in cached}


def test_removal_gives_python_its_own_policy_back() -> None:
    before = gc.get_threshold()
    policy = GarbagePolicy(Metrics())
    policy.install()
    callbacks = len(gc.callbacks)
    policy.settle()
    policy.remove()
    assert len(gc.callbacks) == callbacks - 1
    assert gc.get_freeze_count() == 0
    gc.set_threshold(*before)
