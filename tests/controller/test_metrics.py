"""What queues and informers report arrives under the names that the dashboards read (G31)."""

from __future__ import annotations

import asyncio

import pytest

from controller.metric_adapters import InformerAdapter, QueueAdapter
from controller.metrics import Metrics
from informers import PRIORITY_INITIAL, InformerMetrics, Key, QueueMetrics, WorkQueue

pytestmark = pytest.mark.looptime


async def test_a_queues_life_is_counted() -> None:
    metrics = Metrics()
    adapter: QueueMetrics = QueueAdapter(metrics, "job")
    queue = WorkQueue[Key](metrics=adapter)

    def value(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(f"qiskit_operator_{name}", {"queue": "job", **labels})

    one, two = Key("lab", "one"), Key("lab", "two")
    queue.add(one)
    queue.add(one)
    queue.add(two, PRIORITY_INITIAL)
    assert value("queue_adds_total", priority="0") == 1
    assert value("queue_depth", priority="-100") == 1
    await asyncio.sleep(2)
    assert await queue.get() == one
    assert value("queue_wait_seconds_sum") == 2
    await asyncio.sleep(3)
    queue.add_rate_limited(one)
    queue.done(one)
    assert value("queue_work_seconds_sum") == 3
    assert value("queue_retries_total") == 1
    assert value("queue_depth", priority="0") == 0


def test_an_informers_life_is_counted() -> None:
    metrics = Metrics()
    adapter: InformerMetrics = InformerAdapter(metrics, "pods")

    def value(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(f"qiskit_operator_{name}", {"resource": "pods", **labels})

    adapter.listed(500, 0.2)
    adapter.watch_opened(True)
    adapter.event_received("ADDED")
    adapter.event_received("ADDED")
    adapter.watch_ended("cut")
    adapter.problem("undecodable")
    assert value("informer_lists_total") == 1
    assert value("informer_list_seconds_sum") == 0.2
    assert value("informer_watches_total") == 1
    assert value("informer_events_total", type="ADDED") == 2
    assert value("informer_watch_ends_total", reason="cut") == 1
    assert value("informer_problems_total", reason="undecodable") == 1
