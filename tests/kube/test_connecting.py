"""A closed client has no connection left, wherever a request or a watch of it was cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
from aiohttp import web
from yarl import URL

from kube import CONFIG_MAPS, Client, Configuration
from tests.kube.wire import certified

TURNS = 60
"""More turns of the loop than a request takes from its start to its answer."""


@pytest.fixture
async def secure_server(tmp_path: Path) -> AsyncIterator[Configuration]:
    secrets = certified(tmp_path)

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"metadata": {"name": "any", "uid": "1"}})

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=secrets.tls).start()
    host, port = runner.addresses[0][:2]
    yield Configuration(f"https://{host}:{port}", ssl_context=secrets.trust)
    await runner.cleanup()


async def test_a_request_cancelled_at_any_turn_leaves_no_connection_to_a_closed_client(
    secure_server: Configuration,
) -> None:
    """A server that is frozen does not answer the end of TLS: who waits for that keeps the connection."""
    cancelled = 0
    for turns in range(TURNS):
        async with Client(secure_server, user_agent="test") as client:
            request = asyncio.ensure_future(client.get(CONFIG_MAPS, "any", "ns"))
            for _ in range(turns):
                await asyncio.sleep(0)
            request.cancel()
            await asyncio.wait({request})
            cancelled += request.cancelled()
        left = connections(secure_server)
        assert not left, f"left by a cancel at turn {turns}"
    assert cancelled > 5


def connections(there: Configuration) -> list[str]:
    """This process's connections to a server, as the kernel knows them."""
    port = URL(there.server).port
    return [
        c.status
        for c in psutil.Process().net_connections("tcp")
        if c.raddr and c.raddr.port == port and c.status != psutil.CONN_TIME_WAIT
    ]
