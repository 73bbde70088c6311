"""The operator's controllers: each reconciler with its queue, its triggers and its workers."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence

import reconcilers.backend
import reconcilers.job
from backends.aer import AerBackend, AerSettings, GatewayAccess
from backends.aer.pool import WarmPods
from controller.metric_adapters import QueueAdapter
from controller.process import Surroundings
from controller.term import Controller
from informers import Key, WorkQueue
from informers.retry_delay import RetryDelay
from reconcilers.backend import BackendReconciler
from reconcilers.isolation import GatewayPeers, Isolation
from reconcilers.job import Examiner, JobReconciler, JobSettings, ValidationService

LOCAL_SIMULATOR = "local_simulator"

BACKEND_WORKERS = 2
"""Backends are few and their passes short; a slow one must not hold up all others."""

LONGEST_RETRY = 60.0
"""Seconds between two passes of a job that fail. After an outage of the API server nothing else may wake a job, and
its user would rather not wait for the quarter of an hour that a queue grants by itself."""


def make_controllers(around: Surroundings) -> Sequence[Controller]:
    """Make the reconcilers for one term of leadership; nothing of them outlives it."""
    isolation = Isolation(around.client, lambda: _peers(around))
    job_settings = JobSettings(
        executor_image=around.settings.executor_image,
        default_max_execution=around.settings.default_max_execution_time,
        max_executors=around.settings.max_executors,
    )
    jobs_metrics = QueueAdapter(around.metrics, "job")
    jobs_queue: WorkQueue[Key] = WorkQueue(metrics=jobs_metrics, retry_delay=_retry_delay())
    validation = ValidationService(str(around.settings.validation_url))
    aer = _aer(around)
    jobs = JobReconciler(
        client=around.client,
        jobs=around.caches.jobs,
        backends=around.caches.backends,
        pods=around.caches.pods,
        results=around.caches.results,
        examiner=Examiner(around.client, validation, around.gateway.seal),
        registry={LOCAL_SIMULATOR: AerBackend(around.client, aer)},
        isolation=isolation,
        recorder=around.recorder,
        settings=job_settings,
        seal=around.gateway.seal,
        now=time.time,
        wake=jobs_queue.add,
    )
    backends_metrics = QueueAdapter(around.metrics, "backend")
    backends_queue: WorkQueue[Key] = WorkQueue(metrics=backends_metrics, retry_delay=_retry_delay())
    backends = BackendReconciler(
        client=around.client,
        backends=around.caches.backends,
        pods=around.caches.pods,
        warm_pods=WarmPods(around.client, aer),
        places=jobs.places,
        isolation=isolation,
        settings=job_settings,
        now=time.time,
        token=lambda: secrets.token_hex(3),
    )
    return [
        Controller(
            name="job",
            queue=jobs_queue,
            queue_metrics=jobs_metrics,
            reconcile=jobs.reconcile,
            subscribe=lambda queue: reconcilers.job.connect(
                jobs,
                queue,
                jobs=around.caches.jobs,
                backends=around.caches.backends,
                pods=around.caches.pods,
                results=around.caches.results,
            ),
            workers=around.settings.workers,
            timeout=around.settings.reconcile_timeout,
            context=lambda key: _about_job(around, key),
            lifetimes=(validation, jobs),
        ),
        Controller(
            name="backend",
            queue=backends_queue,
            queue_metrics=backends_metrics,
            reconcile=backends.reconcile,
            subscribe=lambda queue: reconcilers.backend.connect(
                backends,
                queue,
                backends=around.caches.backends,
                pods=around.caches.pods,
                jobs=around.caches.jobs,
            ),
            workers=BACKEND_WORKERS,
            timeout=around.settings.reconcile_timeout,
        ),
    ]


def _about_job(around: Surroundings, key: Key) -> dict[str, object]:
    job = around.caches.jobs.get(*key)
    return {} if job is None else {"uid": job.metadata.uid, "attempt": job.status.attempt}


def _aer(around: Surroundings) -> AerSettings:
    settings = around.settings

    def access() -> GatewayAccess:
        host = settings.advertised_host
        named = f"[{host}]" if ":" in host else host
        return GatewayAccess(f"https://{named}:{_advertised_port(around)}", around.gateway.bundle_pem)

    return AerSettings(
        gateway=access,
        priority_classes={str(name): text for name, text in settings.priority_classes.items()},
        sandbox_relax=tuple(settings.sandbox_relax),
    )


def _peers(around: Surroundings) -> GatewayPeers:
    """A network may see the Service's port or the pod's behind it, so both are let through."""
    ports = dict.fromkeys((_advertised_port(around), around.gateway.port))
    return GatewayPeers(around.settings.advertised_host, tuple(ports), around.settings.operator_namespace)


def _advertised_port(around: Surroundings) -> int:
    return around.settings.gateway_advertise_port or around.gateway.port


def _retry_delay() -> RetryDelay[Key]:
    return RetryDelay(longest=LONGEST_RETRY)
