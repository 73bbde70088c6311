"""The life of the process: connect, fill the caches, open the doors, take part in the election, stop in order.

    services (every replica)   informers, events, heartbeat, freshness, health server, gateway
    guarded work (the leader)  Term: handlers ─▶ queues ─▶ workers ─▶ reconcilers ─▶ GuardedClient

    stop (G44): not ready ─▶ handlers removed ─▶ queues shut ─▶ workers finish ─▶ lease released
                ─▶ gateway finishes hand-ins ─▶ last events ─▶ services cancelled ─▶ connections closed

A service that ends, for whatever reason, takes the process with it, in the same order.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog

from controller.caches import Caches, follow
from controller.election import LeaderElector, boot_clock, new_identity
from controller.freshness import Freshness
from controller.garbage import GarbagePolicy
from controller.guard import GuardedClient
from controller.having import asked_for_by
from controller.health import Health, HealthServer, Heartbeat
from controller.metrics import Metrics
from controller.ports import Ports, announce
from controller.settings import Settings
from controller.term import Controller, Term
from gateway import Gateway, GatewaySettings
from gateway.orders import OrderSettings
from informers import Backoff
from informers.timing import loop_clock
from kube import ApiError, Client, Configuration, load_configuration
from kube.events import EventRecorder
from messages.version import VERSION

log = structlog.get_logger("process")

NAME = "qiskit-operator"
"""Of the lease, and of the reporter of events."""

SYNC_REMINDER = 15.0
"""Seconds between two log lines about caches that are still being filled."""

FREE_PORT = "end whoever listens there, or set another port (0 takes a free one)"

LAST_EVENTS = 3.0
"""Seconds that events still in the recorder's queue get at the end."""


class ServiceEnded(Exception):
    """A service that runs for the life of the process has returned. It is a bug; the process ends."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a term's reconcilers are made from. `client` writes nothing once the lease is in doubt."""

    settings: Settings
    client: Client
    caches: Caches
    recorder: EventRecorder
    gateway: Gateway
    metrics: Metrics


MakeControllers = Callable[[Surroundings], Sequence[Controller]]


class Process:
    """One replica of the operator. `make_controllers` is called anew for each term of leadership.

    `configure` says how the API server is reached, where that is not told by the settings.
    """

    def __init__(
        self,
        settings: Settings,
        make_controllers: MakeControllers,
        *,
        metrics: Metrics | None = None,
        configure: Callable[[], Awaitable[Configuration]] | None = None,
    ) -> None:
        self.settings = settings
        self.metrics = metrics or Metrics()
        self.identity = new_identity()
        self.ports: Ports | None = None
        """What is listened on, once it is."""
        self._make_controllers = make_controllers
        self._configure = configure or self._load_configuration
        self._stop = asyncio.Event()
        self._health = Health()

    def stop(self) -> None:
        """Ask the process to end in order; `run` returns when it has."""
        self._stop.set()

    async def run(self) -> None:
        """Run until `stop`.

        Raises:
            kube.NoConfiguration: if there is no cluster to talk to.
            controller.having.CannotHave: if a port is taken, or the ports cannot be told.
            gateway.authority.BrokenAuthority: if the gateway's Secret cannot be used.
            BaseExceptionGroup: with these or others, if a service failed later.
        """
        configuration = await self._configured()
        if configuration is None:
            return
        garbage = GarbagePolicy(self.metrics)
        garbage.install()
        try:
            async with Client(configuration, user_agent=f"{NAME}/{VERSION}") as client:
                await self._run_services(client, garbage)
        finally:
            garbage.remove()

    async def _configured(self) -> Configuration | None:
        """How the API server is reached; None if told to stop before: a plugin may wait for people to log in."""
        loading = asyncio.ensure_future(self._configure())
        stopping = asyncio.create_task(self._stop.wait(), name="stop")
        try:
            await asyncio.wait({loading, stopping}, return_when=asyncio.FIRST_COMPLETED)
            return loading.result() if loading.done() else None
        finally:
            loading.cancel()
            stopping.cancel()
            await asyncio.wait({loading, stopping})

    async def _load_configuration(self) -> Configuration:
        kubeconfig = self.settings.kubeconfig
        return await load_configuration(str(kubeconfig) if kubeconfig else None, self.settings.context)

    async def _run_services(self, client: Client, garbage: GarbagePolicy) -> None:
        settings = self.settings
        caches = follow(client, settings.namespaces, self.metrics)
        freshness = Freshness(caches.named(), self.metrics)
        heartbeat = Heartbeat(self.metrics)
        recorder = EventRecorder(client, controller=NAME, instance=self.identity)
        gateway = Gateway(
            client,
            caches.jobs,
            caches.backends,
            caches.pods,
            GatewaySettings(
                namespace=settings.operator_namespace,
                host=settings.gateway_listen_address,
                port=settings.gateway_listen_port,
                orders=OrderSettings(VERSION, settings.default_max_execution_time),
            ),
            clock=loop_clock,
        )
        health = self._health
        health.alive |= {"loop": heartbeat.problem, "informers": freshness.stuck}
        health.ready |= {
            "caches": freshness.unsynced,
            "gateway": lambda: None if gateway.serving else "the gateway is not serving",
            "process": lambda: "the process is stopping" if self._stop.is_set() else None,
        }
        server = HealthServer(
            health, self.metrics.registry, settings.metrics_listen_address, settings.metrics_listen_port
        )
        with asked_for_by("--metrics-listen-address and --metrics-listen-port", FREE_PORT):
            await server.start()
        try:
            async with asyncio.TaskGroup() as group:
                services = {
                    **{f"informer of {name}": informer.run() for name, informer in caches.named().items()},
                    "event recorder": recorder.run(),
                    "heartbeat": heartbeat.run(),
                    "freshness": freshness.run(),
                    "gateway renewal": gateway.run(),
                }
                tasks = [group.create_task(_endless(name, run), name=name) for name, run in services.items()]
                for task in tasks:
                    health.must_run(task.get_name(), task)
                try:
                    surroundings = Surroundings(settings, client, caches, recorder, gateway, self.metrics)
                    await self._until_stopped(self._start(surroundings, freshness, garbage, server))
                    if not self._stop.is_set():
                        await self._lead_or_wait(surroundings)
                finally:
                    await gateway.stop()
                    await recorder.flush(LAST_EVENTS)
                    for task in tasks:
                        task.cancel()
        finally:
            await server.stop()
        log.info("stopped")

    async def _start(
        self, around: Surroundings, freshness: Freshness, garbage: GarbagePolicy, server: HealthServer
    ) -> None:
        """Fill the caches, then open the gateway: it answers from them.

        There is no limit to the wait. A process that gives up while the API server is away helps nobody; it
        is not ready, and says every few seconds what it waits for.
        """
        while (missing := freshness.unsynced()) is not None:
            try:
                async with asyncio.timeout(SYNC_REMINDER):
                    for informer in around.caches.named().values():
                        await informer.wait_synced()
            except TimeoutError:
                log.warning("still filling the caches", state=missing)
        garbage.settle()
        backoff = Backoff(loop_clock, random.Random())  # noqa: S311 - jitter, no secret
        while True:
            try:
                with asked_for_by("--gateway-listen-address and --gateway-listen-port", FREE_PORT):
                    await around.gateway.start()
                break
            except ApiError as error:
                log.warning("the gateway cannot be opened yet", reason=error.reason, error=str(error))
                await asyncio.sleep(backoff.next_delay())
        settings = self.settings
        self.ports = Ports(gateway=around.gateway.port, metrics=server.port)
        with asked_for_by(
            f"--ports-file {settings.ports_file}", "name a file in a folder that can be written"
        ):
            announce(self.ports, settings.ports_file)
        log.info(
            "ready",
            version=VERSION,
            identity=self.identity,
            namespaces=list(settings.namespaces) or "all",
            cached={name: len(informer) for name, informer in around.caches.named().items()},
        )

    async def _lead_or_wait(self, around: Surroundings) -> None:
        settings = self.settings
        if not settings.leader_election:
            self.metrics.leader.set(1)
            await self._term(around, lambda: True)
            return
        elector = LeaderElector(
            around.client,
            settings.operator_namespace,
            NAME,
            self.identity,
            metrics=self.metrics,
            timings=settings.lease_timings,
            clock=boot_clock,
        )
        async with asyncio.TaskGroup() as group:
            election = group.create_task(self._elect(elector, around), name="election")
            await self._stop.wait()
            elector.retire()  # if the lease is lost while the term winds down, it is not asked for again
            if not elector.leading:
                election.cancel()  # a leader's term ends by itself, in order; then the lease is released

    async def _elect(self, elector: LeaderElector, around: Surroundings) -> None:
        """Take part in the election. One that ends by itself would leave a replica that never leads again."""
        await _not_cancelled_from_within(
            "the election", elector.run(lambda: self._term(around, elector.may_act))
        )
        if not self._stop.is_set():
            raise ServiceEnded("the election has ended")

    async def _term(self, around: Surroundings, may_act: Callable[[], bool]) -> None:
        guarded = replace(around, client=GuardedClient(around.client, may_act))
        controllers = self._make_controllers(guarded)
        term = Term(controllers, self.metrics, may_start=may_act, grace=self.settings.shutdown_grace)
        await term.run(self._stop)

    async def _until_stopped(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work, or as much of it as is done when the process is told to stop."""
        async with asyncio.TaskGroup() as group:
            task = group.create_task(work, name="start")
            stopping = group.create_task(self._stop.wait(), name="stop")
            await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
            task.cancel()
            stopping.cancel()


async def _endless(name: str, service: Coroutine[Any, Any, None]) -> None:
    await _not_cancelled_from_within(name, service)
    raise ServiceEnded(f"{name} has ended")


async def _not_cancelled_from_within(name: str, service: Coroutine[Any, Any, None]) -> None:
    """Run the service. A cancellation that nobody asked for, which a task group would overlook, is an error."""
    try:
        await service
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise ServiceEnded(f"{name} was cancelled from within") from error
