"""Gets and patches one ConfigMap again and again, with one of three clients, and says what a request took.

ours         kube.Client
aiohttp      an aiohttp session with as little as it can be given, and msgspec
generated    kubernetes-asyncio's `CoreV1Api`
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from statistics import median
from typing import Any

from bench.contender.harness import arguments, configuration, say
from bench.requests import TARGET

TURN = 25
"""Requests that one client makes before it is the next one's turn."""

Request = Callable[[], Awaitable[object]]


async def work(options: argparse.Namespace) -> None:
    """Make the requests and report microseconds of processor time for each: the median turn's."""
    clients = {"kube.Client": _ours, "aiohttp": _aiohttp, "kubernetes-asyncio": _generated}
    costs: dict[str, list[float]] = {}
    async with AsyncExitStack() as stack:
        requests: dict[str, Request] = {}
        for name, client in clients.items():
            get, patch = await stack.enter_async_context(client(options))
            requests |= {f"get {name}": get, f"patch {name}": patch}
        for turn in range(1 + max(1, options.expect // TURN)):
            for name, request in requests.items():
                cost = await _cost(request)
                if turn > 0:  # in the first one connections are made
                    costs.setdefault(name, []).append(cost)
    say("requested", microseconds={name: median(found) for name, found in costs.items()})


async def _cost(request: Request) -> float:
    began = time.process_time()
    for _ in range(TURN):
        await request()
    return (time.process_time() - began) / TURN * 1e6


def changes() -> Callable[[], dict[str, Any]]:
    """Patches of which each changes something."""
    number = 0

    def change() -> dict[str, Any]:
        nonlocal number
        number += 1
        return {"metadata": {"annotations": {"number": str(number)}}}

    return change


@asynccontextmanager
async def _ours(options: argparse.Namespace) -> AsyncIterator[tuple[Request, Request]]:
    from kube import CONFIG_MAPS, Client

    change = changes()
    async with Client(configuration(options), user_agent="bench") as client:
        yield (
            lambda: client.get(CONFIG_MAPS, TARGET, options.namespace),
            lambda: client.merge_patch(CONFIG_MAPS, TARGET, change(), options.namespace),
        )


@asynccontextmanager
async def _aiohttp(options: argparse.Namespace) -> AsyncIterator[tuple[Request, Request]]:
    import aiohttp
    import msgspec

    there = configuration(options)
    assert there.ssl_context is not None
    url = f"{there.server}/api/v1/namespaces/{options.namespace}/configmaps/{TARGET}"
    change = changes()
    connector = aiohttp.TCPConnector(ssl=there.ssl_context)
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=30),
        raise_for_status=True,
    ) as session:

        async def get() -> object:
            async with session.get(url) as response:
                return msgspec.json.decode(await response.read())

        async def patch() -> object:
            body, headers = msgspec.json.encode(change()), {"Content-Type": "application/merge-patch+json"}
            async with session.patch(url, data=body, headers=headers) as response:
                return msgspec.json.decode(await response.read())

        yield get, patch


@asynccontextmanager
async def _generated(options: argparse.Namespace) -> AsyncIterator[tuple[Request, Request]]:
    from kubernetes_asyncio import client as models
    from kubernetes_asyncio import config

    await config.load_kube_config(options.kubeconfig)
    change = changes()
    async with models.ApiClient() as api:
        core = models.CoreV1Api(api)
        yield (
            lambda: core.read_namespaced_config_map(TARGET, options.namespace),
            lambda: core.patch_namespaced_config_map(
                TARGET, options.namespace, change(), _content_type="application/merge-patch+json"
            ),
        )


if __name__ == "__main__":
    asyncio.run(work(arguments()))
    sys.stdout.flush()
    os._exit(0)
