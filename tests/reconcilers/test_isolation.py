"""The NetworkPolicy of a namespace with executors."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any, cast

import msgspec
import pytest

from api.names import LABEL_MANAGED_BY, MANAGED_BY
from api.views import QiskitBackend, QiskitJob
from backends import Refused
from kube import NETWORK_POLICIES, Client, Conflict
from reconcilers.isolation import POLICY_NAME, REAPPLY_SECONDS, GatewayPeers, Isolation, network_policy
from tests.reconcilers.builders import NAMESPACE, a_backend, a_job
from tests.reconcilers.operating import WatchedClient

PEERS = GatewayPeers(host="10.96.0.7", ports=(8443, 443), operator_namespace="qiskit-operator")


def test_nothing_comes_in_and_only_the_gateway_is_reached() -> None:
    spec = network_policy("quantum", PEERS)["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["ingress"] == []
    [rule] = spec["egress"]
    assert rule["ports"] == [{"protocol": "TCP", "port": 8443}, {"protocol": "TCP", "port": 443}]
    assert {"ipBlock": {"cidr": "10.96.0.7/32"}} in rule["to"]
    assert spec["podSelector"]["matchLabels"] == {LABEL_MANAGED_BY: MANAGED_BY}


@pytest.mark.parametrize(
    ("host", "block"),
    [("fd00::7", "fd00::7/128"), ("[fd00::7]", "fd00::7/128"), ("gateway.example.org", None)],
)
def test_an_address_becomes_a_block_and_a_name_does_not(host: str, block: str | None) -> None:
    peers = GatewayPeers(host=host, ports=(8443,), operator_namespace="qiskit-operator")
    to = network_policy("quantum", peers)["spec"]["egress"][0]["to"]
    blocks = [peer["ipBlock"]["cidr"] for peer in to if "ipBlock" in peer]
    assert blocks == ([block] if block else [])
    assert any("podSelector" in peer for peer in to)


class Cached:
    """What a cache holds of one kind, by name."""

    def __init__(self, *objects: QiskitJob | QiskitBackend) -> None:
        self.objects = {found.metadata.name: found for found in objects}

    def get(self, namespace: str | None, name: str) -> QiskitJob | QiskitBackend | None:
        return self.objects.get(name)


def a_job_of(namespace: str) -> tuple[QiskitJob, Cached]:
    """A job, and a cache that has it."""
    job = a_job().with_metadata(namespace=namespace).view
    return job, Cached(job)


class Applied:
    """A client that counts what it is told to apply."""

    def __init__(self) -> None:
        self.times = 0

    async def apply(self, *_: Any, **__: Any) -> None:
        self.times += 1


class TestANamespaceThatIsMadeAgain:
    """It is without the policy of its predecessor, and nobody watches namespaces."""

    def isolation(self) -> tuple[Isolation, Applied]:
        applied = Applied()
        return Isolation(cast("Client", applied), lambda: PEERS, clock=lambda: 0.0), applied

    async def test_its_first_job_gets_the_policy_whatever_its_name(self) -> None:
        isolation, applied = self.isolation()
        old, same_name, other = a_job().view, a_job(uid="job-2").view, a_job("ghz", uid="job-3").view
        await isolation.ensure(old, Cached(old))
        await isolation.ensure(same_name, Cached(same_name))
        await isolation.ensure(other, Cached(other))
        assert applied.times == 3

    async def test_its_first_pool_gets_the_policy(self) -> None:
        isolation, applied = self.isolation()
        old = a_backend()
        new = msgspec.structs.replace(old, metadata=msgspec.structs.replace(old.metadata, uid="another"))
        await isolation.ensure(old, Cached(old))
        await isolation.ensure(new, Cached(new))
        assert applied.times == 2

    async def test_backends_that_a_lagging_cache_still_has_do_not_vouch_for_it(self) -> None:
        isolation, applied = self.isolation()
        backends = Cached(a_backend())
        job, jobs = a_job_of(NAMESPACE)
        await isolation.ensure(a_backend(), backends)
        await isolation.ensure(job, jobs)
        assert applied.times == 2

    async def test_jobs_that_come_and_go_in_one_that_stays_cost_nothing(self) -> None:
        isolation, applied = self.isolation()
        jobs = [a_job(f"bell-{number}", uid=f"job-{number}").view for number in range(10)]
        for older, newer in pairwise(jobs):
            await isolation.ensure(newer, Cached(older, newer))
        assert applied.times == 1


@pytest.mark.cluster
class TestOnAServer:
    async def test_it_is_applied_once_and_again_after_a_while(self, client: Client, namespace: str) -> None:
        now = [0.0]
        watched = WatchedClient(client)
        isolation = Isolation(watched, lambda: PEERS, clock=lambda: now[0])
        await asyncio.gather(*(isolation.ensure(*a_job_of(namespace)) for _ in range(5)))
        await isolation.ensure(*a_job_of(namespace))
        assert len(watched.writes) == 1
        await client.delete(NETWORK_POLICIES, POLICY_NAME, namespace)
        now[0] = REAPPLY_SECONDS + 1
        await isolation.ensure(*a_job_of(namespace))
        assert len(watched.writes) == 2
        found = await client.get(NETWORK_POLICIES, POLICY_NAME, namespace)
        assert found["metadata"]["labels"][LABEL_MANAGED_BY] == MANAGED_BY

    async def test_it_follows_the_gateway(self, client: Client, namespace: str) -> None:
        peers = [PEERS]
        isolation = Isolation(client, lambda: peers[0])
        await isolation.ensure(*a_job_of(namespace))
        peers[0] = GatewayPeers(host="10.96.0.8", ports=(9443,), operator_namespace="qiskit-operator")
        await isolation.ensure(*a_job_of(namespace))
        found = await client.get(NETWORK_POLICIES, POLICY_NAME, namespace)
        [rule] = found["spec"]["egress"]
        assert rule["ports"] == [{"protocol": "TCP", "port": 9443}]
        assert {"ipBlock": {"cidr": "10.96.0.8/32"}} in rule["to"]

    async def test_a_quota_that_many_write_to_at_once_is_no_other_policy(
        self, client: Client, namespace: str
    ) -> None:
        """It is answered like a field that is somebody else's, and gone at the next try."""

        def busy(method: str, path: str) -> None:
            raise Conflict(409, "Conflict", 'Operation cannot be fulfilled on resourcequotas "few"')

        watched = WatchedClient(client)
        watched.before = busy
        isolation = Isolation(watched, lambda: PEERS)
        with pytest.raises(Conflict):
            await isolation.ensure(*a_job_of(namespace))
        watched.before = lambda method, path: None
        await isolation.ensure(*a_job_of(namespace))

    async def test_another_policy_of_the_name_stays_and_is_no_isolation(
        self, client: Client, namespace: str
    ) -> None:
        theirs = {"metadata": {"name": POLICY_NAME}, "spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}
        await client.create(NETWORK_POLICIES, theirs, namespace)
        with pytest.raises(Refused, match=POLICY_NAME):
            await Isolation(client, lambda: PEERS).ensure(*a_job_of(namespace))
        found = await client.get(NETWORK_POLICIES, POLICY_NAME, namespace)
        assert found["spec"]["policyTypes"] == ["Ingress"]
