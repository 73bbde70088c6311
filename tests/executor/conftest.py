"""Executors as processes of their own, and a gateway for them that speaks the protocol over real TLS."""

import contextlib

import pytest

from tests.executor.authority import SERVER_NAME, make_authority
from tests.executor.gateway_stub import GatewayStub
from tests.executor.process import start_executor


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return make_authority(tmp_path_factory.mktemp("tls"), SERVER_NAME)


@pytest.fixture
async def gateway(authority):
    stub = GatewayStub(authority)
    await stub.open()
    try:
        yield stub
    finally:
        await stub.close()


@pytest.fixture
async def start(gateway, tmp_path):
    """Starts an executor for `gateway`: start(order, NAME="value" …) -> Executor."""
    async with contextlib.AsyncExitStack() as stack:
        yield lambda order=None, **changed: start_executor(stack, gateway, tmp_path, order, changed)
