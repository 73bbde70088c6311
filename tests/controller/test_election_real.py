"""Leader election on a real API server: optimistic concurrency as it is, not as a script has it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import pytest

from controller.election import LeaderElector, new_identity
from controller.lease import Lease, LeaseTimings
from controller.metrics import Metrics
from kube import LEASES, Client

pytestmark = pytest.mark.cluster

BRISK = LeaseTimings(lease_duration=90.0, renew_deadline=60.0, retry_period=0.2)
"""Candidates ask often; but no machine is so slow that a leader loses its lease."""


async def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 - what is waited for is no event of ours
            await asyncio.sleep(0.02)


class Candidate:
    def __init__(self, client: Client, namespace: str, active: set[str]) -> None:
        self.identity = new_identity()
        self.elector = LeaderElector(
            client, namespace, "operator", self.identity, metrics=Metrics(), timings=BRISK
        )
        self.active = active
        self.terms = 0
        self.task = asyncio.create_task(self.elector.run(self.lead))

    async def lead(self) -> None:
        assert not self.active, "two at once"
        self.active.add(self.identity)
        self.terms += 1
        try:
            await asyncio.Event().wait()
        finally:
            self.active.remove(self.identity)

    async def stop(self) -> None:
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.task


async def test_leadership_goes_from_one_to_the_next_without_overlap(client: Client, namespace: str) -> None:
    active: set[str] = set()
    candidates = [Candidate(client, namespace, active) for _ in range(3)]
    remaining = list(candidates)
    while remaining:
        await until(lambda: bool(active))
        lease = await client.get(LEASES, "operator", namespace, type=Lease)
        leader = next(c for c in remaining if c.identity in active)
        assert lease.holder == leader.identity
        await leader.stop()
        assert not leader.task.done() or not leader.active & {leader.identity}
        remaining.remove(leader)
    lease = await client.get(LEASES, "operator", namespace, type=Lease)
    assert lease.holder == ""
    assert lease.spec.lease_transitions == 2
    assert [candidate.terms for candidate in candidates] == [1, 1, 1]


async def test_a_lease_written_over_by_somebody_else_ends_the_term(client: Client, namespace: str) -> None:
    active: set[str] = set()
    candidate = Candidate(client, namespace, active)
    await until(lambda: bool(active))
    await client.merge_patch(
        LEASES,
        "operator",
        {"spec": {"holderIdentity": "usurper", "leaseDurationSeconds": 1}},
        namespace,
    )
    await until(lambda: not active)
    await until(lambda: candidate.terms == 2)
    await candidate.stop()
