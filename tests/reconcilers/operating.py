"""The job reconciler at work on a real API server: informers, queue and workers, as the controller has them."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec

from api.names import LABEL_MANAGED_BY
from api.views import QiskitBackend, QiskitJob
from backends import Backend
from backends.aer import AerBackend, AerSettings, GatewayAccess
from backends.aer.pool import WarmPods
from controller.metrics import Metrics
from controller.runner import Runner
from informers import Informer, Key, WorkQueue
from kube import (
    CONFIG_MAPS,
    PODS,
    QISKIT_BACKENDS,
    QISKIT_JOBS,
    Client,
    ObjectReference,
    PartialObject,
    Pod,
)
from reconcilers.backend import BackendReconciler
from reconcilers.backend import connect as connect_backends
from reconcilers.isolation import GatewayPeers, Isolation
from reconcilers.job import (
    JOB_INDEXERS,
    POD_INDEXERS,
    POD_SELECTOR,
    RESULT_INDEXERS,
    RESULT_SELECTOR,
    Examiner,
    JobReconciler,
    JobSettings,
    ValidationService,
    connect,
    lean,
)
from tests.informers.mutation import MutationDetector
from tests.reconcilers.fake_node import SEAL

IMAGE = "qiskit-operator/executor:test"
SETTINGS = JobSettings(executor_image=IMAGE, validating_after=60.0)
"""A validation is quick however busy the machine is, unless a test says otherwise."""
AER = AerSettings(gateway=lambda: GatewayAccess(url="https://127.0.0.1:8443", authority_pem="PEM"))
PEERS = GatewayPeers(host="10.96.0.7", ports=(8443,), operator_namespace="qiskit-operator")


class StoppedClock:
    """Wall time that stands still until a test moves it: what a write waits for is then no matter of speed."""

    def __init__(self) -> None:
        self._now = time.time()

    def __call__(self) -> float:
        return self._now

    def forward(self, seconds: float) -> None:
        self._now += seconds


WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass
class Write:
    """A request that changed, or was to change, something."""

    method: str
    path: str
    body: bytes | None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class WatchedClient(Client):
    """A client that keeps account of writes. `before` and `after` each may raise, to end the process there."""

    def __init__(self, inner: Client) -> None:
        self.configuration = inner.configuration
        self._inner = inner
        self.writes: list[Write] = []
        self.calls: list[str] = []
        self.before: Callable[[str, str], None] = lambda method, path: None
        self.after: Callable[[str, str], None] = lambda method, path: None

    async def raw(self, method: str, path: str, **options: Any) -> bytes:
        self.before(method, path)
        if method in WRITES:
            self.writes.append(Write(method, path, options.get("body")))
        answer = await self._inner.raw(method, path, **options)
        self.calls.append(f"{method} {path}")
        self.after(method, path)
        return answer

    @asynccontextmanager
    async def watch(self, *arguments: Any, **options: Any) -> AsyncIterator[AsyncIterator[bytes]]:
        async with self._inner.watch(*arguments, **options) as lines:
            yield lines

    def written(self, plural: str) -> list[str]:
        return [str(write) for write in self.writes if f"/{plural}" in write.path]


class Relabelled(WatchedClient):
    """As if an admission webhook put its own label on every pod that is made."""

    async def raw(self, method: str, path: str, **options: Any) -> bytes:
        if method == "POST" and path.endswith("/pods"):
            pod = msgspec.json.decode(options["body"])
            pod["metadata"]["labels"][LABEL_MANAGED_BY] = "the-platform"
            options["body"] = msgspec.json.encode(pod)
        return await super().raw(method, path, **options)


@dataclass
class Diary:
    """An event recorder that remembers."""

    events: list[tuple[str, str, str, str]] = field(default_factory=list)

    def emit(self, about: ObjectReference, type: str, reason: str, message: str) -> None:  # noqa: A002
        self.events.append((about.name, type, reason, message))

    def reasons(self, name: str) -> list[str]:
        return [reason for about, _, reason, _ in self.events if about == name]


@dataclass
class Operator:
    """One term of an operator: fresh caches, fresh memory."""

    client: WatchedClient
    namespace: str
    reconciler: JobReconciler
    pooling: BackendReconciler
    queue: WorkQueue[Key]
    diary: Diary
    jobs: Informer[QiskitJob]
    pods: Informer[Pod]

    @classmethod
    @asynccontextmanager
    async def start(
        cls,
        client: Client,
        namespace: str,
        validation_url: str,
        *,
        settings: JobSettings = SETTINGS,
        aer: AerSettings = AER,
        workers: int = 4,
        watched: WatchedClient | None = None,
        registry: Mapping[str, Backend] | None = None,
        now: Callable[[], float] = time.time,
        run: bool = True,
    ) -> AsyncIterator[Operator]:
        """Run until the context ends; with `run=False` nothing is reconciled but what a test asks for."""
        acting = watched or WatchedClient(client)
        jobs = Informer(
            client, QISKIT_JOBS, QiskitJob, namespace=namespace, transform=lean, indexers=JOB_INDEXERS
        )
        backends = Informer(client, QISKIT_BACKENDS, QiskitBackend, namespace=namespace)
        pods = Informer(
            client, PODS, Pod, namespace=namespace, label_selector=POD_SELECTOR, indexers=POD_INDEXERS
        )
        results = Informer(
            client,
            CONFIG_MAPS,
            PartialObject,
            namespace=namespace,
            label_selector=RESULT_SELECTOR,
            metadata_only=True,
            indexers=RESULT_INDEXERS,
        )
        queue: WorkQueue[Key] = WorkQueue()
        diary = Diary()
        async with ValidationService(validation_url) as service:
            reconciler = JobReconciler(
                client=acting,
                jobs=jobs,
                backends=backends,
                pods=pods,
                results=results,
                examiner=Examiner(acting, service, SEAL),
                registry=registry or {"local_simulator": AerBackend(acting, aer)},
                isolation=Isolation(acting, lambda: PEERS),
                recorder=diary,
                settings=settings,
                seal=SEAL,
                now=now,
                wake=queue.add,
            )
            connect(reconciler, queue, jobs=jobs, backends=backends, pods=pods, results=results)
            pools: WorkQueue[Key] = WorkQueue()
            pooling = BackendReconciler(
                client=acting,
                backends=backends,
                pods=pods,
                warm_pods=WarmPods(acting, aer),
                places=reconciler.places,
                isolation=reconciler.isolation,
                settings=settings,
                now=now,
                token=lambda: secrets.token_hex(3),
            )
            connect_backends(pooling, pools, backends=backends, pods=pods, jobs=jobs)
            informers: tuple[Informer[Any], ...] = (jobs, backends, pods, results)
            detectors = [MutationDetector(informer) for informer in informers]
            async with reconciler, asyncio.TaskGroup() as tasks:
                running = [tasks.create_task(informer.run()) for informer in informers]
                for informer in informers:
                    await informer.wait_synced()
                if run:
                    runner = Runner(
                        "job", queue, reconciler.reconcile, metrics=Metrics(), workers=workers, timeout=30.0
                    )
                    running.append(tasks.create_task(runner.run()))
                    runner = Runner("backend", pools, pooling.reconcile, metrics=Metrics(), timeout=30.0)
                    running.append(tasks.create_task(runner.run()))
                try:
                    yield cls(acting, namespace, reconciler, pooling, queue, diary, jobs, pods)
                finally:
                    for task in running:
                        task.cancel()
            for detector in detectors:
                detector.check()


BELL = "from qiskit import QuantumCircuit\nqc = QuantumCircuit(2)\nqc.h(0)\nqc.cx(0, 1)\nqc.measure_all()\n"


def a_manifest(name: str, **spec: Any) -> dict[str, Any]:
    """A QiskitJob that runs a Bell circuit; keyword arguments replace blocks of its spec."""
    return {
        "apiVersion": "quantum.io/v1",
        "kind": "QiskitJob",
        "metadata": {"name": name},
        "spec": {
            "backend": {"type": "local_simulator"},
            "circuit": {"source": "inline", "code": BELL},
            **spec,
        },
    }


async def create_job(client: Client, namespace: str, name: str, **spec: Any) -> QiskitJob:
    return await client.create(QISKIT_JOBS, a_manifest(name, **spec), namespace, type=QiskitJob)


async def get_job(client: Client, namespace: str, name: str) -> QiskitJob:
    job: QiskitJob = await client.get(QISKIT_JOBS, name, namespace, type=QiskitJob)
    return job


async def create_backend(client: Client, namespace: str, name: str, **spec: Any) -> QiskitBackend:
    """A QiskitBackend of the local simulator."""
    body = {
        "apiVersion": "quantum.io/v1",
        "kind": "QiskitBackend",
        "metadata": {"name": name},
        "spec": {"type": "local_simulator", **spec},
    }
    return await client.create(QISKIT_BACKENDS, body, namespace, type=QiskitBackend)


async def get_backend(client: Client, namespace: str, name: str) -> QiskitBackend:
    return await client.get(QISKIT_BACKENDS, name, namespace, type=QiskitBackend)


async def eventually(
    check: Callable[[], Any], *, seconds: float = 90.0, what: str = "the expected state"
) -> Any:
    """Poll until `check` (sync or async) gives something true, and return it."""
    last: Any = None
    try:
        async with asyncio.timeout(seconds):
            while True:
                last = check()
                if asyncio.iscoroutine(last):
                    last = await last
                if last:
                    return last
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"{what} did not come; the last look gave {last!r}") from None


async def in_phase(
    client: Client, namespace: str, name: str, *phases: str, seconds: float = 90.0
) -> QiskitJob:
    """Wait until the job is in one of the phases."""
    last: list[QiskitJob] = []

    async def look() -> QiskitJob | None:
        job = await get_job(client, namespace, name)
        last[:] = [job]
        return job if job.status.phase in phases else None

    try:
        found: QiskitJob = await eventually(look, seconds=seconds)
        return found
    except AssertionError:
        raise AssertionError(f"job {name} is not {' or '.join(phases)}: {last[0].status}") from None
