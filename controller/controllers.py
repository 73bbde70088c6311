"""The operator's controllers: each reconciler with its queue, its triggers and its workers."""

from __future__ import annotations

import time
from collections.abc import Sequence

from backends.aer import AerBackend, AerSettings, GatewayAccess
from controller.metrics import QueueAdapter
from controller.process import Surroundings
from controller.term import Controller
from informers import Key, WorkQueue
from reconcilers.isolation import GatewayPeers, Isolation
from reconcilers.job import Examiner, JobReconciler, JobSettings, ValidationService, connect

LOCAL_SIMULATOR = "local_simulator"


def make_controllers(around: Surroundings) -> Sequence[Controller]:
    """Make the reconcilers for one term of leadership; nothing of them outlives it."""
    return [_jobs(around)]


def _jobs(around: Surroundings) -> Controller:
    settings, caches = around.settings, around.caches
    queue_metrics = QueueAdapter(around.metrics, "qiskitjobs")
    queue: WorkQueue[Key] = WorkQueue(metrics=queue_metrics)
    validation = ValidationService(str(settings.validation_url))
    reconciler = JobReconciler(
        client=around.client,
        jobs=caches.jobs,
        backends=caches.backends,
        pods=caches.pods,
        results=caches.results,
        examiner=Examiner(around.client, validation),
        registry={LOCAL_SIMULATOR: _aer(around)},
        isolation=Isolation(around.client, lambda: _peers(around)),
        recorder=around.recorder,
        settings=JobSettings(
            executor_image=settings.executor_image,
            default_max_execution=settings.default_max_execution_time,
            max_executors=settings.max_executors,
        ),
        now=time.time,
        wake=queue.add,
    )

    def context(key: Key) -> dict[str, object]:
        job = caches.jobs.get(*key)
        return {} if job is None else {"uid": job.metadata.uid, "attempt": job.status.attempt}

    return Controller(
        name="qiskitjobs",
        queue=queue,
        queue_metrics=queue_metrics,
        reconcile=reconciler.reconcile,
        subscribe=lambda queue: connect(
            reconciler,
            queue,
            jobs=caches.jobs,
            backends=caches.backends,
            pods=caches.pods,
            results=caches.results,
        ),
        workers=settings.workers,
        timeout=settings.reconcile_timeout,
        context=context,
        lifetimes=(validation, reconciler),
    )


def _aer(around: Surroundings) -> AerBackend:
    settings = around.settings

    def access() -> GatewayAccess:
        host = settings.advertised_host
        named = f"[{host}]" if ":" in host else host
        return GatewayAccess(f"https://{named}:{_advertised_port(around)}", around.gateway.bundle_pem)

    return AerBackend(
        around.client,
        AerSettings(
            gateway=access,
            priority_classes={str(name): text for name, text in settings.priority_classes.items()},
            sandbox_relax=tuple(settings.sandbox_relax),
        ),
    )


def _peers(around: Surroundings) -> GatewayPeers:
    """A network may see the Service's port or the pod's behind it, so both are let through."""
    ports = dict.fromkeys((_advertised_port(around), around.gateway.port))
    return GatewayPeers(around.settings.advertised_host, tuple(ports), around.settings.operator_namespace)


def _advertised_port(around: Surroundings) -> int:
    return around.settings.gateway_advertise_port or around.gateway.port
