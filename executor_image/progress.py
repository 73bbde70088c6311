"""Telling the gateway how far the attempt is, and hearing from it that the attempt is over."""

from __future__ import annotations

import asyncio

from executor_image.gateway_client import GatewayClient
from messages.work import Progress, Stage, WorkOrder

PERIOD = 5.0
"""Seconds between reports while nothing changes: so soon a cancelled job's executor notices."""

GAP = 0.2
"""Seconds between any two reports. A job of a few milliseconds is reported once, and a busy gateway thanks."""


class Reporter:
    """Sends the newest state. Stages that pass while a report is under way are not sent: they are history."""

    def __init__(self, gateway: GatewayClient, order: WorkOrder) -> None:
        self._gateway = gateway
        self._order = order
        self._latest: Progress | None = None
        self._changed = asyncio.Event()

    @property
    def stage(self) -> Stage | None:
        """The stage that was reached last."""
        return self._latest.stage if self._latest else None

    def reach(self, stage: Stage, done: int, total: int) -> None:
        """Note a step forward; a new stage is sent at once, another circuit with the next report."""
        is_new = stage is not self.stage
        self._latest = Progress(
            job_uid=self._order.job_uid,
            attempt=self._order.attempt,
            stage=stage,
            circuits_done=done,
            circuits_total=total,
        )
        if is_new:
            self._changed.set()

    async def run(self) -> None:
        """Report until cancelled.

        Raises:
            GatewayRefused: if the attempt is over; nothing more is to be done for it.
        """
        while True:
            try:
                async with asyncio.timeout(PERIOD):
                    await self._changed.wait()
            except TimeoutError:
                pass
            self._changed.clear()
            if self._latest is not None:
                await self._gateway.report(self._latest)
                await asyncio.sleep(GAP)
