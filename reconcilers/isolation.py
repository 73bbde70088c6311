"""The one NetworkPolicy of a namespace with executors: nothing comes in, only the gateway is reached.

It is applied before the first pod there. Server-side apply without force: an object of that name that
somebody else made otherwise is refused, never overwritten.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from api.names import LABEL_MANAGED_BY, LABEL_ROLE, MANAGED_BY, ROLE_EXECUTOR, ROLE_WARM
from api.reasons import Reason
from backends import Refused
from informers import KubernetesObject
from informers.timing import Clock, loop_clock
from kube import NETWORK_POLICIES, Client, Conflict

POLICY_NAME = "qiskit-operator-executors"
FIELD_MANAGER = "qiskit-operator"

FIELD_CONFLICT = "FieldManagerConflict"
"""The cause in the details of a conflict over a field that somebody else manages."""

REAPPLY_SECONDS = 600.0
"""How long an applied policy is taken for granted: somebody who deletes it gets it back after this time.

A namespace that is deleted takes the policy with it, and one of the same name may follow in a moment. None of its jobs
and backends live on, though: what was applied counts for as long as the latest one of them for which it was asked is
still in the cache, under its UID. Each kind vouches for itself, for one cache may lag behind another.
"""


@dataclass(frozen=True, slots=True)
class GatewayPeers:
    """Where executors may connect to: the advertised address and port, and the operator's own pods.

    Networks differ in whether they see a Service's address or the pod behind it, so both are named.
    """

    host: str
    ports: tuple[int, ...]
    operator_namespace: str
    operator_labels: tuple[tuple[str, str], ...] = (("app.kubernetes.io/name", "qiskit-operator-controller"),)


def network_policy(namespace: str, peers: GatewayPeers) -> dict[str, Any]:
    """The policy for a namespace."""
    to: list[dict[str, Any]] = [
        {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": peers.operator_namespace}},
            "podSelector": {"matchLabels": dict(peers.operator_labels)},
        }
    ]
    address = _address(peers.host)
    if address is not None:
        to.append({"ipBlock": {"cidr": f"{address}/{address.max_prefixlen}"}})
    return {
        "apiVersion": NETWORK_POLICIES.api_version,
        "kind": NETWORK_POLICIES.kind,
        "metadata": {
            "name": POLICY_NAME,
            "namespace": namespace,
            "labels": {LABEL_MANAGED_BY: MANAGED_BY},
        },
        "spec": {
            "podSelector": {
                "matchLabels": {LABEL_MANAGED_BY: MANAGED_BY},
                "matchExpressions": [
                    {"key": LABEL_ROLE, "operator": "In", "values": [ROLE_EXECUTOR, ROLE_WARM]}
                ],
            },
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [],
            "egress": [{"to": to, "ports": [{"protocol": "TCP", "port": port} for port in peers.ports]}],
        },
    }


class Lookup(Protocol):
    """A cache of jobs, or of backends."""

    def get(self, namespace: str | None, name: str) -> KubernetesObject | None: ...


@dataclass(frozen=True, slots=True)
class _Applied:
    """A policy that was applied, and an object (name, UID) that was in the namespace since."""

    peers: GatewayPeers
    at: float
    witness: tuple[str, str | None]


class Isolation:
    """Applies the policy to a namespace before its first pod, and again now and then."""

    def __init__(
        self, client: Client, peers: Callable[[], GatewayPeers], *, clock: Clock = loop_clock
    ) -> None:
        self._client = client
        self._peers = peers
        self._clock = clock
        self._applied: dict[tuple[str, type[KubernetesObject]], _Applied] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def ensure(self, owner: KubernetesObject, cache: Lookup) -> None:
        """See that the owner's namespace has its policy. `cache` holds the objects of the owner's kind.

        Raises:
            Refused: if another policy has its name; no executor may start beside it.
            kube.ApiError: if the API server cannot be asked.
        """
        peers, namespace = self._peers(), owner.metadata.namespace or ""
        if self._is_applied(owner, cache, peers):
            return
        async with self._locks.setdefault(namespace, asyncio.Lock()):
            if self._is_applied(owner, cache, peers):
                return
            try:
                await self._client.apply(
                    NETWORK_POLICIES,
                    POLICY_NAME,
                    network_policy(namespace, peers),
                    namespace,
                    field_manager=FIELD_MANAGER,
                    force=False,
                )
            except Conflict as error:
                if FIELD_CONFLICT not in str(error.details):
                    raise  # two wrote at once, to the policy or to a quota that counts it
                raise Refused(
                    Reason.POD_REJECTED,
                    f"NetworkPolicy {POLICY_NAME} exists and is not the operator's; delete or rename it: "
                    f"{error.message}",
                ) from error
            self._applied[namespace, type(owner)] = _Applied(peers, self._clock(), _identity(owner))

    def _is_applied(self, owner: KubernetesObject, cache: Lookup, peers: GatewayPeers) -> bool:
        namespace = owner.metadata.namespace or ""
        applied = self._applied.get((namespace, type(owner)))
        if applied is None or applied.peers != peers or self._clock() - applied.at >= REAPPLY_SECONDS:
            return False
        witness = cache.get(namespace, applied.witness[0])
        if witness is None or _identity(witness) != applied.witness:
            return False
        # Both are there at the same time: from now on the later one vouches, which is likely to stay longer.
        self._applied[namespace, type(owner)] = replace(applied, witness=_identity(owner))
        return True


def _identity(obj: KubernetesObject) -> tuple[str, str | None]:
    return obj.metadata.name, obj.metadata.uid


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
