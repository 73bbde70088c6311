"""The process: `python -m validation_image [--listen-port 8080] [...]`."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import structlog
from aiohttp import web
from aiohttp.abc import AbstractResolver

from messages.version import VERSION
from sandbox import Zygote, hide_memory
from validation_image.readiness import probe
from validation_image.service import Service
from validation_image.settings import Settings, read_settings

_DRAIN_SECONDS = 15.0
"""How long requests under way get to finish; a validation takes 10 s at most by default."""

log = structlog.get_logger("validation")


@asynccontextmanager
async def serve(settings: Settings, resolver: AbstractResolver | None = None) -> AsyncIterator[int]:
    """Run the service, and give the port it listens on. `resolver` stands in for the system's in tests."""
    async with Zygote.start(
        preload="validation_image.child:preload", entry="validation_image.child:run"
    ) as zygote:
        readiness = await probe(zygote, settings)
        if readiness.problem is None:
            log.info("sandbox", layers=sorted(readiness.layers))
        else:
            log.error("no user code can be run here", problem=readiness.problem)
        # A client that goes away takes its validation with it.
        runner = web.AppRunner(
            Service(settings, zygote, resolver).application(),
            handler_cancellation=True,
            access_log=None,
            shutdown_timeout=_DRAIN_SECONDS,
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, settings.listen_host, settings.listen_port).start()
            port = int(runner.addresses[0][1])
            if settings.ports_file is not None:
                _write_whole(settings, port)
            log.info("listening", host=settings.listen_host, port=port, version=VERSION)
            yield port
        finally:
            await runner.cleanup()


async def _main(settings: Settings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with serve(settings):
        await stop.wait()
        log.info("stopping")


def _write_whole(settings: Settings, port: int) -> None:
    """Write the ports file so that a reader sees all of it or nothing."""
    assert settings.ports_file is not None
    draft = settings.ports_file.with_suffix(".draft")
    draft.write_text(json.dumps({"http": port}))
    draft.replace(settings.ports_file)


def _log_to_stdout(level: str) -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(sys.stdout),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Read settings and serve until told to stop."""
    settings = read_settings(sys.argv[1:] if arguments is None else arguments, os.environ)
    _log_to_stdout(settings.log_level)
    hide_memory()
    asyncio.run(_main(settings))


if __name__ == "__main__":
    main()
