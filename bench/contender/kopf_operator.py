"""The same work as a kopf operator, in two styles.

`create` is the way of kopf's documentation: a creation handler that returns its result through `patch`, with
kopf's own bookkeeping on the object. `event` is the leanest that kopf offers: a low-level handler without any
bookkeeping, which does its own writes. Both create the ConfigMap with the client that the others use, which is
cheaper than the one that kopf's documentation uses.
"""

from __future__ import annotations

import argparse
import os
from typing import Any

import kopf

from bench.contender.harness import Journal, configuration, run
from bench.sample import DONE_PATCH, LABELS, SAMPLES, child
from kube import CONFIG_MAPS, Client


async def work(options: argparse.Namespace, journal: Journal) -> None:
    """Run the operator until cancelled."""
    os.environ["KUBECONFIG"] = options.kubeconfig
    registry = kopf.OperatorRegistry()
    namespace = options.namespace
    async with Client(configuration(options), user_agent="bench-kopf") as client:

        def login(**kwargs: Any) -> Any:
            return kopf.login_with_kubeconfig(**kwargs)

        def configure(settings: Any, **_: Any) -> None:
            settings.posting.enabled = False
            settings.scanning.disabled = True
            settings.execution.max_workers = options.workers

        async def drained(**_: Any) -> None:
            """The watch on the children that the others have, too."""

        async def created(name: str, uid: str, patch: Any, **_: Any) -> None:
            journal.begin(name)
            await client.create(CONFIG_MAPS, child(name, uid), namespace)
            journal.post(name)
            patch.status["phase"] = "Done"

        async def seen(name: str, status: Any, **_: Any) -> None:
            # kopf sends the patch after the handler; that it arrived is known from the event.
            if status.get("phase") == "Done" and name in journal.began:
                journal.finish(name)

        async def happened(name: str, uid: str, status: Any, **_: Any) -> None:
            if status.get("phase") == "Done":
                return
            journal.begin(name)
            await client.create(CONFIG_MAPS, child(name, uid), namespace)
            journal.post(name)
            await client.merge_patch(SAMPLES, name, DONE_PATCH, namespace, subresource="status")
            journal.finish(name)

        samples = (SAMPLES.group, SAMPLES.version, SAMPLES.plural)
        kopf.on.login(registry=registry)(login)
        kopf.on.startup(registry=registry)(configure)
        kopf.on.event("", "v1", "configmaps", labels=LABELS, registry=registry)(drained)
        if options.style == "create":
            kopf.on.create(*samples, registry=registry)(created)
            kopf.on.event(*samples, registry=registry)(seen)
        else:
            kopf.on.event(*samples, registry=registry)(happened)
        await kopf.operator(registry=registry, standalone=True, namespaces=[namespace])


if __name__ == "__main__":
    run(work)
