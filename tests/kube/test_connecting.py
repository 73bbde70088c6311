"""A request that is cancelled at any step of its connection's making leaves no connection behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ssl
import weakref
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from kube import CONFIG_MAPS, Client, Configuration
from localcluster.certificates import Authority

TURNS = 60
"""More turns of the loop than a request takes from its start to its answer."""


@pytest.fixture
async def secure_server(tmp_path: Path) -> AsyncIterator[Configuration]:
    authority = Authority.new("test")
    pair = authority.issue("127.0.0.1", hosts=("127.0.0.1",))
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    certificate.write_bytes(pair.certificate)
    key.write_bytes(pair.key)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(certificate, key)

    async def answer(request: web.Request) -> web.Response:
        return web.json_response({"metadata": {"name": "any", "uid": "1"}})

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    trust = ssl.create_default_context(cadata=authority.pem.decode())
    host, port = runner.addresses[0][:2]
    yield Configuration(f"https://{host}:{port}", ssl_context=trust)
    await runner.cleanup()
