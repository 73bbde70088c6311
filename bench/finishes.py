"""When objects finish, as their user's own watch sees it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from kube import ApiError, Client, Resource

Finished = Callable[[dict[str, Any]], bool]
"""Whether an object, as the API server shows it, has done what it was made for."""

_WATCH_SECONDS = 3600


class Finishes:
    """`await finishes.of(name)`: the monotonic time at which the watch showed the object finished."""

    def __init__(self) -> None:
        self._times: dict[str, asyncio.Future[float]] = {}

    async def of(self, name: str) -> float:
        """Wait for the object of that name; within an hour, for the watch ends then."""
        return await self._future(name)

    def _future(self, name: str) -> asyncio.Future[float]:
        return self._times.setdefault(name, asyncio.get_running_loop().create_future())

    async def follow(self, client: Client, resource: Resource, namespace: str, finished: Finished) -> None:
        """Watch until cancelled; a watch that is cut begins again with what is there."""
        while True:
            try:
                async with client.watch(
                    resource,
                    namespace,
                    resource_version="0",
                    timeout_seconds=_WATCH_SECONDS,
                ) as events:
                    async for line in events:
                        self._see(json.loads(line)["object"], finished)
            except ApiError:
                await asyncio.sleep(0.1)

    def _see(self, shown: dict[str, Any], finished: Finished) -> None:
        if finished(shown):
            future = self._future(shown["metadata"]["name"])
            if not future.done():
                future.set_result(time.monotonic())


@asynccontextmanager
async def watching(
    client: Client, resource: Resource, namespace: str, finished: Finished
) -> AsyncIterator[Finishes]:
    """Follow a resource's objects in a namespace for the time of the block."""
    finishes = Finishes()
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(finishes.follow(client, resource, namespace, finished))
        yield finishes
        task.cancel()
