"""Staleness is told and restarts nobody (G23)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from structlog.testing import capture_logs

from controller.freshness import LOOK_EVERY, STALE_AFTER, Freshness
from controller.metrics import Metrics
from informers import STUCK_AFTER
from informers.timing import loop_clock

pytestmark = pytest.mark.looptime


@dataclass
class Cache:
    synced: bool = True
    last_activity: float = 0.0
    last_step: float = 0.0

    def __len__(self) -> int:
        return 3


async def test_the_age_and_the_size_are_read_at_the_scrape() -> None:
    metrics = Metrics()
    Freshness({"pods": Cache()}, metrics)
    value = metrics.registry.get_sample_value
    await asyncio.sleep(42)
    assert value("qiskit_operator_informer_last_event_age_seconds", {"resource": "pods"}) == 42
    assert value("qiskit_operator_informer_objects", {"resource": "pods"}) == 3


async def test_silence_is_warned_of_once_and_its_end_is_told() -> None:
    pods, jobs = Cache(), Cache()
    freshness = Freshness({"pods": pods, "qiskitjobs": jobs}, Metrics())
    task = asyncio.create_task(freshness.run())
    with capture_logs() as lines:
        for _ in range(40):
            await asyncio.sleep(LOOK_EVERY)
            jobs.last_activity = loop_clock()
        assert [(line["log_level"], line["cache"]) for line in lines] == [("warning", "pods")]
        assert lines[0]["seconds"] <= STALE_AFTER + LOOK_EVERY
        pods.last_activity = loop_clock()
        await asyncio.sleep(LOOK_EVERY)
        assert [line["log_level"] for line in lines] == ["warning", "info"]
        assert lines[1]["silent_seconds"] == 600
    task.cancel()
    await asyncio.wait({task})


async def test_readiness_names_the_caches_that_are_not_filled() -> None:
    pods = Cache(synced=False)
    freshness = Freshness({"pods": pods, "qiskitjobs": Cache()}, Metrics())
    assert freshness.unsynced() == "not synced yet: pods"
    pods.synced = True
    assert freshness.unsynced() is None


async def test_silence_is_not_death_but_a_task_without_steps_is() -> None:
    pods = Cache()
    freshness = Freshness({"pods": pods}, Metrics())
    await asyncio.sleep(STUCK_AFTER * 10)
    pods.last_step = loop_clock() - STUCK_AFTER
    assert freshness.stuck() is None, "an outage, and an informer that keeps trying"
    await asyncio.sleep(1)
    assert "pods" in (freshness.stuck() or "")
