"""Watches: lines of any size over any chunks, cuts, and typed refusals at the start."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import pairwise

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kube import CONFIG_MAPS, Client, Gone, TooManyRequests, Unreachable
from kube.watching import LINE_LIMIT, LineTooLong, lines
from tests.faults.proxy import FaultProxy
from tests.faults.rules import Answer, Cut, Inflate, Matching


async def chunked(chunks: list[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(texts=st.lists(st.text(min_size=1).filter(lambda t: t.strip() and "\n" not in t)), data=st.data())
async def test_h5_lines_do_not_depend_on_where_chunks_end(texts: list[str], data: st.DataObject) -> None:
    whole = b"".join(text.encode() + b"\n" for text in texts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=8)))
    bounds = [0, *cuts, len(whole)]
    chunks = [whole[a:b] for a, b in pairwise(bounds)]
    assert [line async for line in lines(chunked(chunks))] == [text.encode() for text in texts]


async def test_g13_a_last_line_without_its_end_is_not_handed_on() -> None:
    assert [line async for line in lines(chunked([b'{"a":1}\n{"b":']))] == [b'{"a":1}']


async def test_a_line_that_no_object_can_have_ends_the_stream() -> None:
    chunk = b"x" * (1 << 20)
    with pytest.raises(LineTooLong):
        async for _ in lines(chunked([chunk] * (LINE_LIMIT // len(chunk) + 1))):
            pass


@pytest.fixture
async def proxied(fault_proxy: FaultProxy) -> AsyncIterator[Client]:
    async with Client(fault_proxy.configuration, user_agent="test") as client:
        yield client


@pytest.mark.cluster
async def test_events_come_as_raw_lines(client: Client, namespace: str) -> None:
    body = {"metadata": {"name": "seen"}}
    async with client.watch(CONFIG_MAPS, namespace, resource_version="0", timeout_seconds=30) as events:
        await client.create(CONFIG_MAPS, body, namespace)
        async for line in events:
            event = msgspec.json.decode(line)
            if event["object"]["metadata"].get("name") == "seen":
                assert event["type"] == "ADDED"
                return
    raise AssertionError("the watch ended before the event came")


@pytest.mark.cluster
async def test_a_line_above_four_mebibytes_arrives_whole(
    proxied: Client, fault_proxy: FaultProxy, namespace: str
) -> None:
    fault_proxy.faults.add(Inflate(5 << 20), times=1)
    async with proxied.watch(CONFIG_MAPS, namespace, resource_version="0", timeout_seconds=30) as events:
        line = await anext(events)
    assert len(line) >= 5 << 20
    assert msgspec.json.decode(line)["type"] == "ADDED"


@pytest.mark.cluster
async def test_a_cut_in_the_middle_of_a_line_raises_and_hands_on_no_half(
    proxied: Client, fault_proxy: FaultProxy, namespace: str
) -> None:
    fault_proxy.faults.add(Cut(half=True), times=1)
    handed_on = []
    with pytest.raises(Unreachable):
        async with proxied.watch(CONFIG_MAPS, namespace, resource_version="0", timeout_seconds=30) as events:
            async for line in events:
                handed_on.append(line)
    assert handed_on == []


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("status", "reason", "error"), [(410, "Expired", Gone), (429, "TooManyRequests", TooManyRequests)]
)
async def test_a_watch_that_is_refused_says_why(
    proxied: Client, fault_proxy: FaultProxy, namespace: str, status: int, reason: str, error: type[Exception]
) -> None:
    fault_proxy.faults.add(Answer(status, reason), when=Matching(watch=True))
    with pytest.raises(error):
        async with proxied.watch(CONFIG_MAPS, namespace, timeout_seconds=30):
            pass
