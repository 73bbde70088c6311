"""PID 1 of an executor pod: holds the token, talks to the gateway, and sends children to do the work.

    supervisor (token, TLS, no Qiskit) ──▶ zygote (Qiskit loaded, one thread) ──▶ child, shut in
        GET /v1/work ▶ build ▶ run ▶ volume ▶ POST /v1/result ▶ exit 0

It does one work order and ends: 0 if the result was taken, else one of `messages.failure.EXIT_CODES` with a
report in the termination message. Warm pods are the same program; they only wait longer for their order.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

from executor_image.attempt import Attempt
from executor_image.delivery import Delivery, refusal_failure
from executor_image.failures import Failed, write_termination_message
from executor_image.gateway_client import GatewayClient, GatewayRefused
from executor_image.progress import Reporter
from executor_image.settings import Misconfigured, Settings
from messages.failure import ExecutorReason
from messages.work import Stage, WorkOrder
from sandbox import Zygote, ZygoteFailed, hide_memory

log = logging.getLogger("executor")


class Supervisor:
    """One life of an executor. `stop` may be called at any time from the event loop."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._reporter: Reporter | None = None
        self._task: asyncio.Task[None] | None = None

    async def live(self) -> None:
        """Get one work order and carry it out; return once the result was taken.

        Raises:
            Failed: for everything else.
        """
        self._task = asyncio.current_task()
        settings = self._settings
        threads = str(settings.threads)
        environment = {"OMP_NUM_THREADS": threads, "RAYON_NUM_THREADS": threads}
        try:
            # The zygote is another program by the time that the token is read for the first time.
            async with (
                Zygote.start(
                    preload="executor_image.child:preload",
                    entry="executor_image.child:run",
                    environment=environment,
                ) as zygote,
                GatewayClient.open(settings) as gateway,
            ):
                log.info("ready, waiting for work")
                await self._one_order(zygote, gateway)
        except ZygoteFailed as error:
            raise Failed(ExecutorReason.EXECUTOR_LOST, f"{error}") from error
        except asyncio.CancelledError:
            raise Failed(ExecutorReason.EXECUTOR_LOST, "the pod was told to stop") from None

    def stop(self) -> None:
        """End as soon as possible: at once, or after the hand-in if that is under way."""
        if self._reporter is not None and self._reporter.stage is Stage.HANDING_IN:
            log.info("told to stop; handing in first")
        elif self._task is not None:
            self._task.cancel()

    async def _one_order(self, zygote: Zygote, gateway: GatewayClient) -> None:
        try:
            order = await gateway.next_order()
            log.info("job %s/%s, attempt %d", order.namespace, order.job_name, order.attempt)
            await self._carry_out(order, zygote, gateway)
        except GatewayRefused as refused:
            raise refusal_failure(refused.refusal) from refused

    async def _carry_out(self, order: WorkOrder, zygote: Zygote, gateway: GatewayClient) -> None:
        delivery = Delivery(self._settings, gateway)
        delivery.check(order.output.type)
        self._reporter = reporter = Reporter(gateway, order)
        attempt = Attempt(self._settings, zygote, order, reporter.reach)
        try:
            async with asyncio.TaskGroup() as tasks:
                reporting = tasks.create_task(reporter.run())
                run = await attempt.carry_out()
                # The hand-in speaks for itself: a report beside it would be refused once the result is stored.
                reporting.cancel()
                reporter.reach(Stage.HANDING_IN, len(run.circuits), len(run.circuits))
        except BaseExceptionGroup as group:
            # Not `except*`: what is raised there would be wrapped in a group again, and nobody would know it.
            known, unknown = group.split((Failed, GatewayRefused))
            if known is None or unknown is not None:
                raise
            raise _first(known) from None
        location = await delivery.deliver(run, attempt.deadline)
        log.info("result stored at %s", location)


def _first(group: BaseExceptionGroup[BaseException]) -> Failed | GatewayRefused:
    """The one error of a task group; a failure of the work itself says more than a refusal at the same time."""
    errors = [error for error in group.exceptions if isinstance(error, Failed | GatewayRefused)]
    return next((error for error in errors if isinstance(error, Failed)), errors[0])


async def _run(settings: Settings) -> None:
    supervisor = Supervisor(settings)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.stop)  # PID 1 has no default handlers
    await supervisor.live()


def main() -> NoReturn:
    """Run as an executor; never returns."""
    logging.basicConfig(level=logging.INFO, format="executor: %(message)s", stream=sys.stderr)
    hide_memory()
    try:
        settings = Settings.read(os.environ)
    except Misconfigured as error:
        log_file = os.environ.get("EXECUTOR_TERMINATION_LOG")
        _report(Failed(ExecutorReason.EXECUTOR_CRASHED, str(error)), Path(log_file) if log_file else None)
    try:
        asyncio.run(_run(settings))
    except Failed as failed:
        _report(failed, settings.termination_log)
    except Exception as error:  # the last boundary: without a report nobody would learn of it
        log.exception("the executor failed")
        crashed = Failed(ExecutorReason.EXECUTOR_CRASHED, f"{type(error).__name__}: {error}")
        _report(crashed, settings.termination_log)
    sys.exit(0)


def _report(failed: Failed, termination_log: Path | None) -> NoReturn:
    failure = failed.failure
    log.error("%s: %s", failure.reason, failure.message)
    if failure.traceback:
        log.error("%s", failure.traceback)
    write_termination_message(termination_log, failure)
    sys.exit(failed.exit_code)


if __name__ == "__main__":
    main()
