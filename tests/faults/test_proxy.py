"""The fault proxy does what its rules say, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from kube import CONFIG_MAPS, Client, Gone, Unreachable
from tests.faults.proxy import FaultProxy
from tests.faults.rules import (
    Answer,
    Cut,
    Delay,
    Drop,
    Duplicate,
    DuringWatch,
    EmptyWatch,
    End,
    ErrorEvent,
    Fault,
    Faults,
    Garbage,
    Inflate,
    Matching,
    Silence,
    StaleList,
)

pytestmark = pytest.mark.cluster

QUIET = 0.5
"""Seconds after which a watch counts as silent; a slow machine only makes the silence longer."""


@pytest.fixture
async def proxied(fault_proxy: FaultProxy) -> AsyncIterator[Client]:
    async with Client(fault_proxy.configuration, user_agent="test") as client:
        yield client


@pytest.fixture
async def three(client: Client, namespace: str) -> list[str]:
    """Three objects that a watch brings in this order."""
    names = ["a", "b", "c"]
    for name in names:
        await client.create(CONFIG_MAPS, {"metadata": {"name": name, "labels": {"test": "yes"}}}, namespace)
    return names


async def told(client: Client, namespace: str, count: int) -> tuple[list[str], str]:
    """What a watch from the start brings until `count` lines, an end, a cut, or (above 10) a silence."""
    seen: list[str] = []
    try:
        async with client.watch(
            CONFIG_MAPS, namespace, label_selector="test=yes", resource_version="0", timeout_seconds=30
        ) as events:
            async with asyncio.timeout(QUIET if count > 10 else 20):
                async for line in events:
                    seen.append(_tell(line))
                    if len(seen) == count:
                        return seen, "enough"
    except Unreachable:
        return seen, "cut"
    except TimeoutError:
        return seen, "silent"
    return seen, "ended"


def _tell(line: bytes) -> str:
    try:
        event: Any = msgspec.json.decode(line)
    except msgspec.DecodeError:
        return "garbage"
    if event["type"] == "ERROR":
        return f"error {event['object']['code']}"
    return str(event["object"]["metadata"]["name"])


@pytest.mark.usefixtures("three")
@pytest.mark.parametrize(
    ("fault", "count", "expected"),
    [
        (Drop(), 2, (["b", "c"], "enough")),
        (Duplicate(), 4, (["a", "a", "b", "c"], "enough")),
        (Delay(0.01), 3, (["a", "b", "c"], "enough")),
        (Cut(), 3, ([], "cut")),
        (Cut(half=True), 3, ([], "cut")),
        (End(), 3, ([], "ended")),
        (ErrorEvent(410, "Expired"), 3, (["error 410"], "ended")),
        (ErrorEvent(500, "InternalError"), 3, (["error 500"], "ended")),
        (Garbage(), 3, (["garbage", "b", "c"], "enough")),
        (Inflate(5 << 20), 3, (["a", "b", "c"], "enough")),
    ],
    ids=str,
)
async def test_a_fault_in_a_watch_shows_once_and_then_no_more(
    proxied: Client, fault_proxy: FaultProxy, namespace: str, fault: DuringWatch, count: int, expected: Any
) -> None:
    rule = fault_proxy.faults.add(fault, times=1)
    assert await told(proxied, namespace, count) == expected
    assert rule.acted == 1
    assert await told(proxied, namespace, 3) == (["a", "b", "c"], "enough")


@pytest.mark.usefixtures("three")
async def test_a_silence_keeps_the_connection_and_says_nothing(
    proxied: Client, fault_proxy: FaultProxy, namespace: str
) -> None:
    fault_proxy.faults.add(Silence(), in_watch=True)
    assert await told(proxied, namespace, 99) == ([], "silent")


@pytest.mark.usefixtures("three")
async def test_a_rule_can_be_about_one_type_of_event(
    proxied: Client, fault_proxy: FaultProxy, client: Client, namespace: str
) -> None:
    for unseen in ("MODIFIED", "BOOKMARK"):
        fault_proxy.faults.add(Drop(), when=Matching(event=unseen))
    async with proxied.watch(
        CONFIG_MAPS, namespace, label_selector="test=yes", resource_version="0", timeout_seconds=30
    ) as events:
        assert [_tell(await anext(events)) for _ in range(3)] == ["a", "b", "c"]
        await client.merge_patch(CONFIG_MAPS, "a", {"data": {"x": "y"}}, namespace)
        await client.delete(CONFIG_MAPS, "b", namespace)
        assert _tell(await anext(events)) == "b"


@pytest.mark.usefixtures("three")
async def test_all_that_is_open_can_be_cut_at_once(
    proxied: Client, fault_proxy: FaultProxy, namespace: str
) -> None:
    with pytest.raises(Unreachable):
        async with proxied.watch(
            CONFIG_MAPS, namespace, label_selector="test=yes", resource_version="0", timeout_seconds=30
        ) as events:
            assert _tell(await anext(events)) == "a"
            fault_proxy.cut_all()
            async for _ in events:
                pass


async def test_an_empty_watch_ends_at_once(proxied: Client, fault_proxy: FaultProxy, namespace: str) -> None:
    fault_proxy.faults.add(EmptyWatch(), when=Matching(watch=True), times=1)
    assert await told(proxied, namespace, 1) == ([], "ended")


async def test_a_refusal_is_for_those_it_is_meant_for(
    proxied: Client, fault_proxy: FaultProxy, namespace: str
) -> None:
    fault_proxy.faults.add(Answer(410, "Expired"), when=Matching(path="/configmaps", watch=True))
    await proxied.list(CONFIG_MAPS, namespace)
    with pytest.raises(Gone):
        await told(proxied, namespace, 1)
    assert [(request.method, request.watch) for request in fault_proxy.seen] == [
        ("GET", False),
        ("GET", True),
    ]


@pytest.mark.usefixtures("three")
async def test_a_stale_list_lags_behind_and_a_quorum_read_does_not(
    proxied: Client, fault_proxy: FaultProxy, client: Client, namespace: str
) -> None:
    async def listed(version: str | None) -> int:
        body = await proxied.list(CONFIG_MAPS, namespace, label_selector="test=yes", resource_version=version)
        return len(msgspec.json.decode(body)["items"])

    assert await listed("0") == 3
    await client.delete(CONFIG_MAPS, "a", namespace)
    fault_proxy.faults.add(StaleList())
    assert await listed("0") == 3
    assert await listed(None) == 2
    fault_proxy.faults.clear()
    assert await listed(None) == 2


def test_the_same_seed_does_the_same_wrong() -> None:
    def run(seed: int) -> list[Fault | None]:
        faults = Faults(seed)
        faults.add(Drop(), probability=0.3)
        return [faults.during("/pods", "ADDED") for _ in range(50)]

    assert run(1) == run(1)
    assert run(1) != run(2)
    assert any(run(1))
    assert not all(run(1))
