"""The operator's pods are made again, as Deployments would."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from kube import NAMESPACES, PODS, SERVICE_ACCOUNTS, AlreadyExists, Client, NotFound
from localcluster.manifests import NAMESPACE
from localcluster.operator_pods import CONTROLLER, VALIDATION, OperatorPorts, keep_operator

pytestmark = pytest.mark.cluster
NAMES = (CONTROLLER, VALIDATION)


async def until_there(client: Client, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, str]:
    """The uids of both pods, once both are as wanted."""
    async with asyncio.timeout(90):
        while True:
            try:
                pods = [await client.get(PODS, name, NAMESPACE) for name in NAMES]
            except NotFound:
                pods = []
            if pods and all(wanted(pod) for pod in pods):
                return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in pods}
            await asyncio.sleep(0.02)


async def delete(client: Client, name: str) -> None:
    await client.delete(PODS, name, NAMESPACE, grace_period_seconds=0)


async def fail(client: Client, name: str) -> None:
    await client.merge_patch(PODS, name, {"status": {"phase": "Failed"}}, NAMESPACE, subresource="status")


@pytest.mark.parametrize("end", [delete, fail])
async def test_a_pod_of_the_operator_that_is_gone_or_over_is_made_again(
    client: Client, operator_namespace: None, end: Callable[[Client, str], Awaitable[None]]
) -> None:
    said: list[str] = []
    keeping = asyncio.create_task(keep_operator(client, OperatorPorts(1, 2, 3), said.append))
    try:
        first = await until_there(client, lambda pod: True)
        await end(client, VALIDATION)
        second = await until_there(client, lambda pod: pod["metadata"]["uid"] != first[VALIDATION])
        assert second[CONTROLLER] == first[CONTROLLER]
        assert said[-1] == f"{VALIDATION} was gone; it is made again."
    finally:
        keeping.cancel()
        await asyncio.wait({keeping})
        for name in NAMES:
            await delete(client, name)


@pytest.fixture
async def operator_namespace(client: Client) -> None:
    """The operator's namespace with its accounts; nothing is running in it."""
    try:
        await client.create(NAMESPACES, {"metadata": {"name": NAMESPACE}})
        for name in NAMES:
            await client.create(SERVICE_ACCOUNTS, {"metadata": {"name": name}}, NAMESPACE)
    except AlreadyExists:
        return
