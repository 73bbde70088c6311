"""A gateway for each test that asks for one."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest

from gateway import Gateway, GatewaySettings
from kube import (
    Client,
)
from tests.gateway.world import SETTINGS, World, following


@pytest.fixture
async def world(client: Client, namespace: str) -> AsyncIterator[World]:
    settings = GatewaySettings(namespace, "127.0.0.1", 0, SETTINGS)
    async with following(client, namespace) as (jobs, backends, pods):
        gateway = Gateway(client, jobs, backends, pods, settings, time.monotonic)
        await gateway.start()
        yield World(client, namespace, gateway)
        await gateway.stop()
