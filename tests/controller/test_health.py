"""Probes: alive unless a restart would help, ready without regard to leadership."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio

from controller.health import STUCK_AFTER, Health, HealthServer, Heartbeat
from controller.metrics import Metrics


@pytest_asyncio.fixture
async def health() -> AsyncIterator[tuple[Health, str]]:
    metrics = Metrics()
    checks = Health()
    server = HealthServer(checks, metrics.registry, "127.0.0.1", 0)
    await server.start()
    yield checks, f"http://127.0.0.1:{server.port}"
    await server.stop()


async def get(url: str) -> tuple[int, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status, await answer.text()


async def test_no_problem_is_200(health: tuple[Health, str]) -> None:
    checks, url = health
    checks.ready["caches"] = lambda: None
    assert await get(f"{url}/readyz") == (200, '{"status":"ok","problems":{}}')
    assert (await get(f"{url}/healthz"))[0] == 200


async def test_a_problem_is_503_and_named(health: tuple[Health, str]) -> None:
    checks, url = health
    checks.ready["caches"] = lambda: "not synced yet: pods"
    assert await get(f"{url}/readyz") == (
        503,
        '{"status":"failing","problems":{"caches":"not synced yet: pods"}}',
    )
    assert (await get(f"{url}/healthz"))[0] == 200, "not ready is not dead"


async def test_a_task_that_must_run_and_has_ended_is_dead(health: tuple[Health, str]) -> None:
    checks, url = health
    over = asyncio.Event()

    async def service() -> None:
        await over.wait()

    task = asyncio.create_task(service(), name="informer of pods")
    checks.must_run("informer of pods", task)
    assert (await get(f"{url}/healthz"))[0] == 200
    over.set()
    await task
    status, text = await get(f"{url}/healthz")
    assert status == 503
    assert "informer of pods has ended" in text


async def test_metrics_are_served_as_prometheus_reads_them(health: tuple[Health, str]) -> None:
    _, url = health
    async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=")
        assert "# TYPE qiskit_operator_leader gauge" in await answer.text()


@pytest.mark.looptime
async def test_a_loop_that_crawls_is_found_by_its_heartbeat() -> None:
    """Each beat is measured against when it was due; one that is far overdue is a stuck loop."""
    metrics = Metrics()
    now = 0.0
    late = 0.0

    async def sleep(seconds: float) -> None:
        nonlocal now
        await asyncio.sleep(0)
        now += seconds + late

    def lag(sample: str) -> float | None:
        return metrics.registry.get_sample_value(f"qiskit_operator_event_loop_lag_seconds_{sample}")

    heart = Heartbeat(metrics, clock=lambda: now, sleep=sleep)
    assert heart.problem() is None, "not started is not stuck"
    task = asyncio.create_task(heart.run())
    for _ in range(10):
        await asyncio.sleep(0)
    assert heart.problem() is None
    assert lag("sum") == 0
    beats, late = lag("count"), 2.5
    assert beats is not None
    for _ in range(10):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    slow_beats = (lag("count") or 0) - beats
    assert slow_beats > 1
    assert lag("sum") == pytest.approx(2.5 * slow_beats, abs=2.5), "each slow beat was 2.5 s late"
    now += STUCK_AFTER + 1
    assert "stuck" in (heart.problem() or "")
