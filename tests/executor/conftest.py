"""Executors as processes of their own, and a gateway for them that speaks the protocol over real TLS."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from messages.work import WorkOrder
from tests.executor.authority import SERVER_NAME, Authority, make_authority
from tests.executor.gateway_stub import GatewayStub
from tests.executor.process import SUPERVISOR, Executor, Start, start_executor


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("tls"), SERVER_NAME)


@pytest.fixture
async def gateway(authority: Authority) -> AsyncIterator[GatewayStub]:
    stub = GatewayStub(authority)
    await stub.open()
    try:
        yield stub
    finally:
        await stub.close()


@pytest.fixture
async def start(gateway: GatewayStub, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts an executor for `gateway`: start(order, NAME="value" …) -> Executor."""

    async def start(
        order: WorkOrder | None, *, command: Sequence[str] = SUPERVISOR, **changed: str | None
    ) -> Executor:
        return await start_executor(stack, gateway, tmp_path, order, changed, command)

    async with contextlib.AsyncExitStack() as stack:
        yield start
