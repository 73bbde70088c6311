"""The operator itself: the real process with all its controllers, gateway and probes.

Style `account` reaches the API server as a pod does (no kubeconfig is read), style `kubeconfig` as a developer
does; the loader of kubeconfigs brings 38 MB of generated models into the process.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from pathlib import Path

from bench.contender.harness import Journal, configuration, run, say
from controller.controllers import make_controllers
from controller.logs import configure_logging
from controller.process import Process
from controller.settings import Settings
from kube import Configuration


async def work(options: argparse.Namespace, journal: Journal) -> None:
    """Run the operator until cancelled; says `ready` once the caches are full and the doors open."""
    del journal
    folder = Path(tempfile.mkdtemp(dir=options.credentials))
    settings = Settings(
        namespaces=(options.namespace,),
        operator_namespace=options.namespace,
        kubeconfig=options.kubeconfig,
        validation_url=options.validation_url,
        workers=options.workers,
        gateway_listen_address="127.0.0.1",
        gateway_listen_port=0,
        metrics_listen_address="127.0.0.1",
        metrics_listen_port=0,
        log_level="warning",
        ports_file=folder / "ports.json",
    )

    async def account() -> Configuration:
        return configuration(options)

    configure_logging(settings.log_level, settings.log_format)
    process = Process(settings, make_controllers, configure=account if options.style == "account" else None)
    async with asyncio.TaskGroup() as group:
        group.create_task(process.run())
        while process.metrics.leader._value.get() == 0:  # noqa: ASYNC110 - a gauge is no event
            await asyncio.sleep(0.02)
        say("ready")


if __name__ == "__main__":
    run(work)
