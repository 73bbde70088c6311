"""Reads a collection of pods into memory, in one of three ways, and says what that took.

    ours         the informer: streamed list, lean structs, indexed cache
    generated    kubernetes-asyncio's models, as `CoreV1Api.list_namespaced_pod` returns them
    dicts        the same response as plain dicts (json)
With `--style NAME:decode` the response is fetched first and only decoding and caching are timed.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import psutil

from bench.contender.harness import arguments, configuration, say

Fetch = Callable[[], Awaitable[object]]


async def work(options: argparse.Namespace) -> None:
    """Read once and report."""
    name, _, only_decode = options.style.partition(":")
    ways = {"ours": _ours, "generated": _generated, "dicts": _dicts}
    async with ways[name](options, bool(only_decode)) as fetch:
        before = _memory()
        wall, cpu = time.perf_counter(), time.process_time()
        kept = await fetch()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        peak = _peak()
        after = _memory()
    say("listed", wall=wall, cpu=cpu, kept=after - before, peak=peak, objects=len(cast("Any", kept)))


@asynccontextmanager
async def _ours(options: argparse.Namespace, only_decode: bool) -> AsyncIterator[Fetch]:
    from informers import Informer, ListWatch
    from kube import PODS, Client, Pod

    async with Client(configuration(options), user_agent="bench") as client, asyncio.TaskGroup() as group:
        source: ListWatch = client
        if only_decode:
            source = cast("ListWatch", Canned(await client.list(PODS, options.namespace)))
        indexers = {"node": lambda pod: (pod.spec.node_name,)}
        informer = Informer(
            source, PODS, Pod, namespace=options.namespace, indexers=indexers, watch_list=not only_decode
        )

        async def fetch() -> object:
            task = group.create_task(informer.run())
            await informer.wait_synced()
            tasks.append(task)
            return informer

        tasks: list[asyncio.Task[None]] = []
        yield fetch
        for task in tasks:
            task.cancel()


class Canned:
    """A server whose list is there already, and on whose watch nothing happens."""

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body

    async def list(self, *_: object, **__: object) -> bytes:
        body, self._body = self._body, None
        assert body is not None
        return body

    @asynccontextmanager
    async def watch(self, *_: object, **__: object) -> AsyncIterator[AsyncIterator[bytes]]:
        yield self._silence()

    async def _silence(self) -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""


@asynccontextmanager
async def _generated(options: argparse.Namespace, only_decode: bool) -> AsyncIterator[Fetch]:
    from kubernetes_asyncio import client as models
    from kubernetes_asyncio import config

    await config.load_kube_config(options.kubeconfig)
    async with models.ApiClient() as api:
        core = models.CoreV1Api(api)
        body = await _body(core, options) if only_decode else b""

        async def fetch() -> object:
            if only_decode:
                found = api.deserialize(SimpleNamespace(data=body.decode()), "V1PodList")
            else:
                found = await core.list_namespaced_pod(options.namespace)
            return {(item.metadata.namespace, item.metadata.name): item for item in found.items}

        yield fetch


@asynccontextmanager
async def _dicts(options: argparse.Namespace, only_decode: bool) -> AsyncIterator[Fetch]:
    from kubernetes_asyncio import client as models
    from kubernetes_asyncio import config

    await config.load_kube_config(options.kubeconfig)
    async with models.ApiClient() as api:
        core = models.CoreV1Api(api)
        body = await _body(core, options) if only_decode else b""

        async def fetch() -> object:
            found = json.loads(body or await _body(core, options))
            return {
                (item["metadata"]["namespace"], item["metadata"]["name"]): item for item in found["items"]
            }

        yield fetch


async def _body(core: Any, options: argparse.Namespace) -> bytes:
    response = await core.list_namespaced_pod(options.namespace, _preload_content=False)
    body: bytes = await response.read()
    return body


def _memory() -> int:
    """Bytes that are this process's own, with what the allocator holds back given back."""
    gc.collect()
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    return int(psutil.Process().memory_full_info().uss)


def _peak() -> int:
    """The most that was resident at any moment so far."""
    with open("/proc/self/status") as status:
        line = next(line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    asyncio.run(work(arguments()))
    sys.stdout.flush()
    os._exit(0)
