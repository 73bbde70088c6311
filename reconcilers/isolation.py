"""The one NetworkPolicy of a namespace with executors: nothing comes in, only the gateway is reached.

It is applied before the first pod there. Server-side apply without force: an object of that name that
somebody else made otherwise is refused, never overwritten.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from api.names import LABEL_MANAGED_BY, LABEL_ROLE, MANAGED_BY, ROLE_EXECUTOR, ROLE_WARM
from api.reasons import Reason
from backends import Refused
from informers.timing import Clock, loop_clock
from kube import NETWORK_POLICIES, Client, Conflict

POLICY_NAME = "qiskit-operator-executors"
FIELD_MANAGER = "qiskit-operator"

FIELD_CONFLICT = "FieldManagerConflict"
"""The cause in the details of a conflict over a field that somebody else manages."""

REAPPLY_SECONDS = 600.0
"""How long an applied policy is taken for granted: somebody who deletes it gets it back after this time."""


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


class Isolation:
    """Applies the policy to a namespace before its first pod, and again now and then."""

    def __init__(
        self, client: Client, peers: Callable[[], GatewayPeers], *, clock: Clock = loop_clock
    ) -> None:
        self._client = client
        self._peers = peers
        self._clock = clock
        self._applied: dict[str, tuple[GatewayPeers, float]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def ensure(self, namespace: str) -> None:
        """See that the namespace has its policy.

        Raises:
            Refused: if another policy has its name; no executor may start beside it.
            kube.ApiError: if the API server cannot be asked.
        """
        peers = self._peers()
        if self._is_applied(namespace, peers):
            return
        async with self._locks.setdefault(namespace, asyncio.Lock()):
            if self._is_applied(namespace, peers):
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
            self._applied[namespace] = (peers, self._clock())

    def _is_applied(self, namespace: str, peers: GatewayPeers) -> bool:
        applied = self._applied.get(namespace)
        return applied is not None and applied[0] == peers and self._clock() - applied[1] < REAPPLY_SECONDS


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
