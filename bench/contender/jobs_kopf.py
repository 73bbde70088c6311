"""Jobs by kopf: a creation handler that begins them, low-level handlers for pods and results that go on."""

from __future__ import annotations

import argparse
import asyncio
import os
from typing import Any

import kopf

from api.names import LABEL_JOB_NAME, LABEL_JOB_UID, LABEL_MANAGED_BY, LABEL_ROLE, MANAGED_BY, ROLE_RESULT
from bench.contender.harness import Journal, configuration, run, say
from bench.contender.job_writes import JobWriter
from kube import QISKIT_JOBS, Client
from kube.events import EventRecorder


async def work(options: argparse.Namespace, journal: Journal) -> None:
    """Run the operator until cancelled."""
    del journal
    os.environ["KUBECONFIG"] = options.kubeconfig
    registry = kopf.OperatorRegistry()
    namespace = options.namespace
    async with Client(configuration(options), user_agent="bench-kopf") as client:
        recorder = EventRecorder(client, controller="bench", instance="kopf")
        writer = JobWriter(client, recorder, namespace)
        running: set[str] = set()

        def login(**kwargs: Any) -> Any:
            return kopf.login_with_kubeconfig(**kwargs)

        def configure(settings: Any, **_: Any) -> None:
            settings.posting.enabled = False
            settings.scanning.disabled = True
            settings.execution.max_workers = options.workers
            say("ready")

        async def created(name: str, uid: str, **_: Any) -> None:
            await writer.begin(name, uid)

        async def pod_changed(labels: Any, status: Any, **_: Any) -> None:
            uid = labels[LABEL_JOB_UID]
            if status.get("phase") == "Running" and uid not in running:
                running.add(uid)
                await writer.run(labels[LABEL_JOB_NAME], uid)

        async def stored(type: str | None, labels: Any, **_: Any) -> None:  # noqa: A002 - kopf's name
            if type == "ADDED":
                await writer.complete(labels[LABEL_JOB_NAME], labels[LABEL_JOB_UID])

        ours = {LABEL_MANAGED_BY: MANAGED_BY}
        kopf.on.login(registry=registry)(login)
        kopf.on.startup(registry=registry)(configure)
        kopf.on.event("", "v1", "pods", labels=ours, registry=registry)(pod_changed)
        kopf.on.event("", "v1", "configmaps", labels={**ours, LABEL_ROLE: ROLE_RESULT}, registry=registry)(
            stored
        )
        if options.style == "create":
            kopf.on.create(QISKIT_JOBS.group, QISKIT_JOBS.version, QISKIT_JOBS.plural, registry=registry)(
                created
            )
        else:
            seen: set[str] = set()

            async def happened(name: str, uid: str, **_: Any) -> None:
                if uid not in seen:
                    seen.add(uid)
                    await writer.begin(name, uid)

            kopf.on.event(QISKIT_JOBS.group, QISKIT_JOBS.version, QISKIT_JOBS.plural, registry=registry)(
                happened
            )
        async with asyncio.TaskGroup() as group:
            group.create_task(recorder.run())
            group.create_task(kopf.operator(registry=registry, standalone=True, namespaces=[namespace]))


if __name__ == "__main__":
    run(work)
