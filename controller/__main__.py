"""Entry point: `python -m controller`, or `qiskit-operator`. Exit code 0: stopped, 1: failed, 2: settings."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator, Sequence

import structlog

from controller.command_line import BadSettings, read_settings, unknown_variables
from controller.controllers import make_controllers
from controller.logs import configure_logging
from controller.process import Process
from controller.settings import Settings
from kube import NoConfiguration

log = structlog.get_logger("main")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the operator with these arguments (those of the command line) until a signal; the exit code."""
    try:
        settings = read_settings(sys.argv[1:] if argv is None else argv)
    except BadSettings as error:
        sys.stderr.write(f"qiskit-operator: bad settings\n{error}\n")
        return 2
    configure_logging(settings.log_level, settings.log_format)
    for name, meant in unknown_variables(os.environ).items():
        log.warning("an environment variable is no setting and has no effect", variable=name, meant=meant)
    try:
        asyncio.run(run(settings))
    except NoConfiguration as error:
        log.critical("there is no cluster to talk to", error=str(error))
        return 1
    except asyncio.CancelledError:
        log.warning("stopped at once, at the second signal")
        return 1
    except Exception as error:
        log.critical("failed", error="; ".join(_causes(error)), exc_info=error)
        return 1
    return 0


async def run(settings: Settings) -> None:
    """Run the process. The first SIGTERM or SIGINT stops it in order, the second at once."""
    process = Process(settings, make_controllers)
    loop = asyncio.get_running_loop()
    task = asyncio.current_task()
    signals = 0

    def on_signal(name: str) -> None:
        nonlocal signals
        signals += 1
        log.info("signal received", signal=name)
        process.stop()
        if signals > 1 and task is not None:
            task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number.name)
    await process.run()


def _causes(error: BaseException) -> Iterator[str]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _causes(inner)
    else:
        yield f"{type(error).__name__}: {error}"


if __name__ == "__main__":
    sys.exit(main())
