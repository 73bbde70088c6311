"""Bringing a finished result to its place. It may take long and may fail, but never loses the result quietly."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from executor_image.console import print_document
from executor_image.document import Run, encode_document, extras, hand_in, result_document
from executor_image.failures import MESSAGE_LIMIT, Failed
from executor_image.gateway_client import GatewayClient, GatewayRefused
from executor_image.settings import Settings
from executor_image.volume import RESULT_FILE, write_files
from messages.failure import ExecutorReason
from messages.work import Refusal

VOLUME = "pvc"
"""The output type that the executor writes itself."""

LARGEST = 20 << 20
"""Bytes of a document and its extras that are sent at all: in Base64 less than what the gateway reads (32 MiB).
A ConfigMap holds 1 MiB, and counts do not compress to a twentieth."""

SAID_LIMIT = MESSAGE_LIMIT - 200
"""Characters of why a result has no place. A webhook may say a lot, and where the result is must be read, too."""


@dataclass(frozen=True)
class Delivery:
    """Hands in to `gateway`, after writing to the volume where there is one."""

    settings: Settings
    gateway: GatewayClient

    def check(self, output_type: str) -> None:
        """Find out before the work what would spoil its end.

        Raises:
            Failed: if the result is to go to a volume and the pod has none.
        """
        if output_type == VOLUME and self.settings.output_dir is None:
            raise Failed(
                ExecutorReason.OUTPUT_CONFLICT,
                "the result is to go to a volume, but this pod has none mounted",
            )

    async def deliver(self, run: Run, deadline: float) -> str:
        """Store the result and return its location. `deadline` is when the attempt's time is over, monotonic.

        Raises:
            Failed: if it has no place; where another attempt would not mend that, it was printed to the log.
        """
        document = result_document(run)
        content = encode_document(document)
        more = extras(run, document)
        on_volume = run.order.output.type == VOLUME
        if on_volume:
            await self._write(document, content, more)
        elif len(content) + sum(map(len, more.values())) > LARGEST:
            said = (
                f"the result takes {len(content) >> 20} MiB; use spec.output.type pvc or measure fewer qubits"
            )
            raise _printed(ExecutorReason.RESULT_TOO_LARGE, said, document, content)
        try:
            accepted = await self.gateway.hand_in(
                hand_in(run, content, more, on_volume=on_volume), deadline=deadline
            )
        except GatewayRefused as refused:
            raise _refused(refused, document, content) from refused
        return accepted.location

    async def _write(self, document: dict[str, Any], content: bytes, more: dict[str, bytes]) -> None:
        folder = self.settings.output_dir
        assert folder is not None, "checked before the work"
        try:
            await asyncio.to_thread(write_files, folder, {RESULT_FILE: content, **more})
        except OSError as error:
            said = f"the result cannot be written to the volume: {error.strerror}"
            raise _printed(ExecutorReason.OUTPUT_CONFLICT, said, document, content) from error


def refusal_failure(refusal: Refusal) -> Failed:
    """An attempt that the gateway does not want to go on: its reason where it is one of ours, else lost."""
    try:
        reason = ExecutorReason(refusal.reason)
    except ValueError:
        return Failed(ExecutorReason.EXECUTOR_LOST, f"this attempt is over: {refusal.message}")
    return Failed(reason, refusal.message)


def _refused(refused: GatewayRefused, document: dict[str, Any], content: bytes) -> Failed:
    failure = refusal_failure(refused.refusal)
    if failure.reason in (ExecutorReason.RESULT_TOO_LARGE, ExecutorReason.OUTPUT_CONFLICT):
        return _printed(failure.reason, refused.refusal.message, document, content)
    return failure


def _printed(reason: ExecutorReason, said: str, document: dict[str, Any], content: bytes) -> Failed:
    return Failed(reason, f"{said[:SAID_LIMIT]}; {print_document(document, content)}")
