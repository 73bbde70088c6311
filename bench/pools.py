"""Waiting until a warm pool is as it is on a cluster where nothing happens."""

from __future__ import annotations

import asyncio
from typing import Any

from backends.aer.observation import is_finished
from backends.aer.warm import waits
from kube import PODS, QISKIT_BACKENDS, Client, Pod

DEADLINE = 300.0


async def until_warm(client: Client, namespace: str, backend: str, size: int) -> None:
    """Wait until the pool is full, and no other pod takes processor time for its start or its end.

    The backend's status alone does not tell: a pod that was taken a moment ago is still counted there.
    """
    async with asyncio.timeout(DEADLINE):
        while True:
            found: dict[str, Any] = await client.get(QISKIT_BACKENDS, backend, namespace)
            pods = await client.list_items(PODS, namespace, type=Pod)
            alive = [pod for pod in pods if not is_finished(pod)]
            full = found.get("status", {}).get("warm") == size
            if full and len(alive) == size and all(map(waits, alive)):
                return
            await asyncio.sleep(0.05)
