"""Guarded work writes nothing once the lease is in doubt, and reads on."""

from __future__ import annotations

import contextlib

import pytest

from controller.guard import GuardedClient
from kube import CONFIG_MAPS, Client, NotFound
from reconcilers.result import Retryable

pytestmark = pytest.mark.cluster


async def test_writes_stop_and_reads_go_on(client: Client, namespace: str) -> None:
    sure = True
    guarded = GuardedClient(client, lambda: sure)
    one = {"metadata": {"name": "one"}}
    await guarded.create(CONFIG_MAPS, one, namespace)
    sure = False
    patch = {"data": {"a": "b"}}
    for write in (
        guarded.create(CONFIG_MAPS, {"metadata": {"name": "two"}}, namespace),
        guarded.merge_patch(CONFIG_MAPS, "one", patch, namespace),
        guarded.json_patch(CONFIG_MAPS, "one", [{"op": "add", "path": "/data", "value": {}}], namespace),
        guarded.apply(CONFIG_MAPS, "one", one, namespace, field_manager="x"),
        guarded.replace(CONFIG_MAPS, "one", one, namespace),
        guarded.delete(CONFIG_MAPS, "one", namespace),
    ):
        with pytest.raises(Retryable, match="lease"):
            await write
    assert (await guarded.get(CONFIG_MAPS, "one", namespace)).get("data") is None
    with pytest.raises(NotFound):
        await guarded.get(CONFIG_MAPS, "two", namespace)
    with contextlib.suppress(TimeoutError):
        async with guarded.watch(CONFIG_MAPS, namespace, resource_version="0", timeout_seconds=1) as lines:
            assert b"ADDED" in await anext(lines)
