"""The whole process on a real API server, with a reconciler of one line: start, work, hand over, stop (G44)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from api.views import QiskitJob
from controller.election import LeaderElector
from controller.having import CannotHave
from controller.health import Heartbeat
from controller.lease import Lease
from controller.metric_adapters import QueueAdapter
from controller.process import NAME, Process, ServiceEnded, Surroundings
from controller.settings import Settings
from controller.term import Controller
from informers import Key, Tombstone, WorkQueue, key_of, last_state
from kube import CONFIG_MAPS, LEASES, QISKIT_JOBS, AlreadyExists, Client, Configuration
from reconcilers.result import DONE, Result
from tests.faults.proxy import FaultProxy
from tests.faults.rules import Matching, Refuse

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("crds")]

A_JOB = {
    "apiVersion": "quantum.io/v1",
    "kind": "QiskitJob",
    "spec": {
        "backend": {"type": "local_simulator"},
        "circuit": {"source": "inline", "code": "qc = QuantumCircuit(1)"},
    },
}


async def until(true: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    try:
        async with asyncio.timeout(seconds):
            while not true():  # noqa: ASYNC110 - what is waited for is no event of ours
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"not within {seconds} s: {what}") from None


class Changes:
    """Queues every job that changes."""

    def __init__(self, queue: WorkQueue[Key]) -> None:
        self.queue = queue

    def on_add(self, obj: QiskitJob, initial: bool) -> None:
        self.queue.add(key_of(obj))

    def on_update(self, old: QiskitJob, new: QiskitJob) -> None:
        self.queue.add(key_of(new))

    def on_delete(self, last: QiskitJob | Tombstone[QiskitJob]) -> None:
        self.queue.add(key_of(last_state(last)))


class Marker:
    """Leaves a ConfigMap for each job, and can be made slow."""

    def __init__(self) -> None:
        self.passes: list[Key] = []
        self.under_way = 0
        self.gate: asyncio.Event | None = None

    def controllers(self, around: Surroundings) -> Sequence[Controller]:
        async def reconcile(key: Key) -> Result:
            self.passes.append(key)
            self.under_way += 1
            try:
                if self.gate is not None:
                    await self.gate.wait()
                if around.caches.jobs.get(*key) is None:
                    return DONE
                body = {"metadata": {"name": f"seen-{key.name}"}, "data": {"by": "the leader"}}
                with contextlib.suppress(AlreadyExists):
                    await around.client.create(CONFIG_MAPS, body, key.namespace)
            finally:
                self.under_way -= 1
            return DONE

        metrics = QueueAdapter(around.metrics, "job")
        return [
            Controller(
                "job",
                WorkQueue[Key](metrics=metrics),
                metrics,
                reconcile,
                lambda queue: [around.caches.jobs.add_handler(Changes(queue))],
            )
        ]


@contextlib.asynccontextmanager
async def replica(kubeconfig: Path, namespace: str, marker: Marker, **options: Any) -> AsyncIterator[Process]:
    process = Process(settings_for(namespace, kubeconfig=kubeconfig, **options), marker.controllers)
    task = asyncio.create_task(process.run())
    try:
        await until(lambda: process.ports is not None or task.done(), "the replica listens")
        if task.done():
            task.result()
        yield process
    finally:
        process.stop()
        await task


def settings_for(namespace: str, **options: Any) -> Settings:
    """Candidates ask often; but no machine is so slow that a leader loses its lease."""
    timings = {"lease_duration": 90, "renew_deadline": 60, "retry_period": 0.2}
    return Settings(
        namespaces=(namespace,),
        operator_namespace=namespace,
        gateway_listen_address="127.0.0.1",
        gateway_listen_port=0,
        metrics_listen_address="127.0.0.1",
        metrics_listen_port=0,
        **(timings | options),
    )


async def probe(process: Process, path: str) -> tuple[int, str]:
    assert process.ports is not None
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{process.ports.metrics}{path}") as answer,
    ):
        return answer.status, await answer.text()


async def a_job(client: Client, namespace: str, name: str) -> None:
    await client.create(QISKIT_JOBS, {**A_JOB, "metadata": {"name": name}}, namespace)


async def holder(client: Client, namespace: str) -> str:
    return (await client.get(LEASES, NAME, namespace, type=Lease)).holder


async def test_from_start_to_stop(client: Client, kubeconfig: Path, namespace: str, tmp_path: Path) -> None:
    marker = Marker()
    await a_job(client, namespace, "before")
    ports_file = tmp_path / "ports.json"
    async with replica(kubeconfig, namespace, marker, ports_file=ports_file) as process:
        await until(lambda: Key(namespace, "before") in marker.passes, "what was there is worked on")
        await a_job(client, namespace, "after")
        await until(lambda: Key(namespace, "after") in marker.passes, "what comes is worked on")
        assert process.ports is not None
        written = json.loads(ports_file.read_text())
        assert written == {"gateway": process.ports.gateway, "metrics": process.ports.metrics}
        assert await probe(process, "/healthz") == (200, '{"status":"ok","problems":{}}')
        assert (await probe(process, "/readyz"))[0] == 200
        status, text = await probe(process, "/metrics")
        assert status == 200
        for line in (
            "qiskit_operator_leader 1.0",
            'qiskit_operator_informer_objects{resource="qiskitjobs"} 2.0',
            'qiskit_operator_reconcile_total{controller="job",result="success"}',
            'qiskit_operator_informer_last_event_age_seconds{resource="pods"}',
            'qiskit_operator_queue_depth{priority="0",queue="job"} 0.0',
            'qiskit_operator_gc_pause_seconds_count{generation="2"}',
        ):
            assert line in text
        assert await holder(client, namespace) == process.identity
    assert await holder(client, namespace) == ""
    assert await client.get(CONFIG_MAPS, "seen-before", namespace)
    assert not [task for task in asyncio.all_tasks() if task is not asyncio.current_task()], "tasks were left"


async def test_g15_nothing_is_worked_on_and_nobody_let_in_before_every_cache_is_filled(
    client: Client, fault_proxy: FaultProxy, namespace: str
) -> None:
    """A reconciler that sees half of the world takes the other half for missing, and makes it again."""
    await a_job(client, namespace, "early")
    refusals = fault_proxy.faults.add(Refuse(), when=Matching(path="/pods"))
    marker = Marker()
    settings = settings_for(namespace)
    process = Process(settings, marker.controllers, configure=partial(_same, fault_proxy.configuration))
    task = asyncio.create_task(process.run())
    try:
        await until(lambda: refusals.acted >= 3 or task.done(), "it goes on trying")
        assert (marker.passes, process.ports) == ([], None)
        fault_proxy.faults.clear()
        await until(lambda: Key(namespace, "early") in marker.passes, "it works")
        assert process.ports is not None
    finally:
        process.stop()
        await task


async def _same(configuration: Configuration) -> Configuration:
    return configuration


async def test_a_follower_is_ready_and_works_on_everything_once_it_leads(
    client: Client, kubeconfig: Path, namespace: str
) -> None:
    first, second = Marker(), Marker()
    await a_job(client, namespace, "one")
    async with contextlib.AsyncExitStack() as stack:
        async with replica(kubeconfig, namespace, first):
            await until(lambda: bool(first.passes), "the first leads")
            follower = await stack.enter_async_context(replica(kubeconfig, namespace, second))
            assert (await probe(follower, "/readyz"))[0] == 200
            assert not second.passes
        await until(lambda: bool(second.passes), "the second takes over")


async def test_a_stop_lets_passes_finish_before_the_lease_goes(
    client: Client, kubeconfig: Path, namespace: str
) -> None:
    marker = Marker()
    marker.gate = asyncio.Event()
    await a_job(client, namespace, "slow")
    async with replica(kubeconfig, namespace, marker) as process:
        await until(lambda: marker.under_way == 1, "a pass is under way")
        process.stop()
        await asyncio.sleep(1)
        assert await holder(client, namespace) == process.identity
        status, text = await probe(process, "/readyz")
        assert (status, "stopping" in text) == (503, True)
        marker.gate.set()
    assert await client.get(CONFIG_MAPS, "seen-slow", namespace)
    assert await holder(client, namespace) == ""


async def test_a_pass_that_outlives_the_grace_is_cancelled(
    client: Client, kubeconfig: Path, namespace: str
) -> None:
    marker = Marker()
    marker.gate = asyncio.Event()
    await a_job(client, namespace, "stuck")
    async with replica(kubeconfig, namespace, marker, shutdown_grace=0.5) as process:
        await until(lambda: marker.under_way == 1, "a pass is under way")
    assert marker.under_way == 0
    assert await holder(client, namespace) == ""
    assert process.metrics.registry.get_sample_value(
        "qiskit_operator_reconcile_errors_total", {"controller": "job"}
    ) in (None, 0)


def _returns() -> None: ...


def _is_cancelled_from_within() -> None:
    raise asyncio.CancelledError


endings = pytest.mark.parametrize("end", [_returns, _is_cancelled_from_within])
"""How what must not end ends: neither makes a task group end what runs beside it."""


@contextlib.asynccontextmanager
async def ends_by_itself(process: Process) -> AsyncIterator[asyncio.Task[None]]:
    """Run a process that is to end, without being told to, because of what the block does."""
    task = asyncio.create_task(process.run())
    try:
        yield task
        await until(task.done, "the process ends by itself")
    finally:
        process.stop()
        await asyncio.wait({task})
    with pytest.raises(BaseExceptionGroup) as caught:
        task.result()
    assert caught.group_contains(ServiceEnded)


@endings
async def test_a_service_that_ends_takes_the_process_with_it_in_order(
    client: Client, kubeconfig: Path, namespace: str, monkeypatch: pytest.MonkeyPatch, end: Callable[[], None]
) -> None:
    """A zombie that serves probes and follows nothing was the worst fault of operators before."""
    from controller import process as module

    trip = asyncio.Event()

    class Ending(Heartbeat):
        async def run(self) -> None:
            await trip.wait()
            end()

    monkeypatch.setattr(module, "Heartbeat", Ending)
    process = Process(settings_for(namespace, kubeconfig=kubeconfig), Marker().controllers)
    async with ends_by_itself(process) as task:
        await until(lambda: process.metrics.leader._value.get() == 1 or task.done(), "it leads")
        trip.set()
    assert await holder(client, namespace) == ""


@endings
async def test_an_election_that_ends_takes_the_process_with_it(
    kubeconfig: Path, namespace: str, monkeypatch: pytest.MonkeyPatch, end: Callable[[], None]
) -> None:
    """A replica that is no candidate any more looks like any follower, and nobody follows it."""
    from controller import process as module

    class Ending(LeaderElector):
        async def run(self, lead: Callable[[], Awaitable[None]]) -> None:
            end()

    monkeypatch.setattr(module, "LeaderElector", Ending)
    process = Process(settings_for(namespace, kubeconfig=kubeconfig), Marker().controllers)
    async with ends_by_itself(process):
        pass


async def test_a_stop_ends_it_though_the_lease_is_lost_meanwhile(
    client: Client, fault_proxy: FaultProxy, namespace: str
) -> None:
    """An outage: a pass hangs, the lease cannot be renewed, and then the process is told to stop."""
    marker = Marker()
    marker.gate = asyncio.Event()
    await a_job(client, namespace, "hanging")
    settings = settings_for(namespace, shutdown_grace=600, lease_duration=3, renew_deadline=2)
    process = Process(settings, marker.controllers, configure=partial(_same, fault_proxy.configuration))
    task = asyncio.create_task(process.run())
    try:
        await until(lambda: marker.under_way == 1 or task.done(), "a pass is under way")
        fault_proxy.faults.add(Refuse(), when=Matching(path="/leases"))
        process.stop()
        await until(task.done, "the process ends by itself")
    finally:
        task.cancel()
        await asyncio.wait({task})
    task.result()
    assert marker.under_way == 0


@pytest.mark.parametrize("which", ["metrics", "gateway"])
async def test_a_port_that_is_taken_is_named_with_its_setting(
    kubeconfig: Path, namespace: str, which: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = settings_for(namespace, kubeconfig=kubeconfig).model_copy(
            update={f"{which}_listen_port": taken.getsockname()[1]}
        )
        with pytest.raises((CannotHave, BaseExceptionGroup)) as caught:
            await Process(settings, Marker().controllers).run()
    error = next(leaves(caught.value))
    assert f"--{which}-listen-port" in str(error)
    assert "already in use" in str(error)


async def test_a_file_that_cannot_be_written_is_named_with_its_setting(
    kubeconfig: Path, namespace: str, tmp_path: Path
) -> None:
    settings = settings_for(namespace, kubeconfig=kubeconfig, ports_file=tmp_path / "missing" / "ports.json")
    with pytest.raises(BaseExceptionGroup) as caught:
        await Process(settings, Marker().controllers).run()
    assert "--ports-file" in str(next(leaves(caught.value)))


def leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error


async def test_without_election_it_works_at_once_and_leaves_no_lease(
    client: Client, kubeconfig: Path, namespace: str
) -> None:
    marker = Marker()
    await a_job(client, namespace, "solo")
    async with replica(kubeconfig, namespace, marker, leader_election=False):
        await until(lambda: bool(marker.passes), "it works")
    leases = json.loads(await client.list(LEASES, namespace))
    assert leases["items"] == []
