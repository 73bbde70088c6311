"""Whether this process is alive and ready, and /metrics, over plain HTTP.

    /healthz  red only if a restart would help: the event loop is stuck, or a task that must run has ended
    /readyz   synced once, and the gateway is serving; leadership plays no part, so every replica is ready

An API server that is away makes neither red: a restart would not bring it back (it shows as a metric and a
warning, see freshness.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from controller.metrics import Metrics
from informers.timing import Clock, Sleep, loop_clock, loop_sleep

HEARTBEAT = 1.0
"""Seconds between two beats of the event loop."""

STUCK_AFTER = 30.0
"""Seconds without a beat after which the loop counts as stuck: three times a probe's usual period."""

Check = Callable[[], str | None]
"""Returns what is wrong, or None."""


class Heartbeat:
    """Beats as long as the event loop turns, and measures how late each beat was."""

    def __init__(self, metrics: Metrics, clock: Clock = loop_clock, sleep: Sleep = loop_sleep) -> None:
        self._lag = metrics.loop_lag_seconds
        self._clock = clock
        self._sleep = sleep
        self._beat: float | None = None

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            due = self._clock() + HEARTBEAT
            await self._sleep(HEARTBEAT)
            self._beat = self._clock()
            self._lag.observe(max(0.0, self._beat - due))

    def problem(self) -> str | None:
        """What is wrong with the loop. A stuck loop answers no probe at all; one that crawls answers this."""
        if self._beat is None:
            return None
        silent = self._clock() - self._beat
        return f"the event loop was stuck for {silent:.0f} s" if silent > STUCK_AFTER else None


@dataclass(slots=True)
class Health:
    """The checks behind the two probes, by name. Add them while the process is put together."""

    alive: dict[str, Check] = field(default_factory=dict)
    ready: dict[str, Check] = field(default_factory=dict)

    def must_run(self, name: str, task: asyncio.Task[None]) -> None:
        """Count the process as dead once this task has ended, however it ended."""
        self.alive[name] = lambda: f"the task {task.get_name()} has ended" if task.done() else None


class HealthServer:
    """Serves /metrics, /healthz and /readyz from `start` to `stop`."""

    def __init__(self, health: Health, registry: CollectorRegistry, host: str, port: int) -> None:
        self._health = health
        self._registry = registry
        self._host = host
        self._port = port
        self._runner: web.AppRunner | None = None

    @property
    def port(self) -> int:
        """The port that is listened on; known once `start` has returned."""
        if self._runner is None:
            raise RuntimeError("the health server has not been started")
        return int(self._runner.addresses[0][1])

    async def start(self) -> None:
        """Begin to listen. Raises OSError if the address is taken."""
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        return _answer(self._health.alive)

    async def _readyz(self, _: web.Request) -> web.Response:
        return _answer(self._health.ready)

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(
            body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST}
        )


def _answer(checks: Mapping[str, Check]) -> web.Response:
    problems = {name: problem for name, check in checks.items() if (problem := check()) is not None}
    body = msgspec.json.encode({"status": "failing" if problems else "ok", "problems": problems})
    return web.Response(status=503 if problems else 200, body=body, content_type="application/json")
