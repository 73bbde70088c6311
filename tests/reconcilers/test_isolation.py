"""The NetworkPolicy of a namespace with executors."""

from __future__ import annotations

import asyncio

import pytest

from api.names import LABEL_MANAGED_BY, MANAGED_BY
from backends import Refused
from kube import NETWORK_POLICIES, Client, Conflict
from reconcilers.isolation import POLICY_NAME, REAPPLY_SECONDS, GatewayPeers, Isolation, network_policy
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


@pytest.mark.cluster
class TestOnAServer:
    async def test_it_is_applied_once_and_again_after_a_while(self, client: Client, namespace: str) -> None:
        now = [0.0]
        watched = WatchedClient(client)
        isolation = Isolation(watched, lambda: PEERS, clock=lambda: now[0])
        await asyncio.gather(*(isolation.ensure(namespace) for _ in range(5)))
        await isolation.ensure(namespace)
        assert len(watched.writes) == 1
        await client.delete(NETWORK_POLICIES, POLICY_NAME, namespace)
        now[0] = REAPPLY_SECONDS + 1
        await isolation.ensure(namespace)
        assert len(watched.writes) == 2
        found = await client.get(NETWORK_POLICIES, POLICY_NAME, namespace)
        assert found["metadata"]["labels"][LABEL_MANAGED_BY] == MANAGED_BY

    async def test_it_follows_the_gateway(self, client: Client, namespace: str) -> None:
        peers = [PEERS]
        isolation = Isolation(client, lambda: peers[0])
        await isolation.ensure(namespace)
        peers[0] = GatewayPeers(host="10.96.0.8", ports=(9443,), operator_namespace="qiskit-operator")
        await isolation.ensure(namespace)
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
            await isolation.ensure(namespace)
        watched.before = lambda method, path: None
        await isolation.ensure(namespace)

    async def test_another_policy_of_the_name_stays_and_is_no_isolation(
        self, client: Client, namespace: str
    ) -> None:
        theirs = {"metadata": {"name": POLICY_NAME}, "spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}
        await client.create(NETWORK_POLICIES, theirs, namespace)
        with pytest.raises(Refused, match=POLICY_NAME):
            await Isolation(client, lambda: PEERS).ensure(namespace)
        found = await client.get(NETWORK_POLICIES, POLICY_NAME, namespace)
        assert found["spec"]["policyTypes"] == ["Ingress"]
