"""The authority in its Secret: created once whoever comes first, renewed with an overlap.

The Secret holds the authority that signs (`ca.crt`, `ca.key`) and, for a while before it takes over, its
successor (`next.crt`, `next.key`). Executors trust both from the day the successor exists, so that a pod
which was created before the change still trusts the leaf that it meets after it. Beside them lies the key of
the seal on results (`seal.key`), which never changes.

    age of ca   0 ........ RENEW_AFTER .. RENEW_AFTER + OVERLAP ........ lifetime
    Secret      ca         ca + next      next becomes ca
    trusted     ca         ca, next       ca (the new one)
    signs       ca         ca             the new ca

Leaves are issued in memory by each replica, so renewing one writes nothing and two replicas cannot clash.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from api.names import LABEL_MANAGED_BY, MANAGED_BY
from api.seal import KEY_BYTES, Seal
from gateway.certificates import AUTHORITY_LIFETIME, Authority, load_authority, new_authority
from kube import SECRETS, AlreadyExists, Client, Conflict, NotFound

SECRET_NAME = "qiskit-operator-gateway-ca"  # noqa: S105 - the name of a Secret

RENEW_AFTER = AUTHORITY_LIFETIME * 4 / 5
OVERLAP = timedelta(days=60)
"""Longer than any pod of a job lives: a warm pod is the oldest pod that must still trust the gateway."""


@dataclass(frozen=True, slots=True)
class Trust:
    """Who signs leaves, the PEM bundle that executors are given, and the seal that results get."""

    signer: Authority
    bundle_pem: str
    seal: Seal


@dataclass(frozen=True, slots=True)
class Authorities:
    """The Secret's content, decoded."""

    current: Authority
    seal_key: bytes
    successor: Authority | None = None

    @property
    def trust(self) -> Trust:
        """Who signs now, and whom executors are to trust."""
        bundle = self.current.pem + (self.successor.pem if self.successor else "")
        return Trust(self.current, bundle, Seal(self.seal_key))


def renewed(authorities: Authorities, now: datetime) -> Authorities:
    """The content that the Secret should have at `now`; the same object if nothing is due."""
    age = authorities.current.age(now)
    if age < RENEW_AFTER:
        return authorities
    if authorities.successor is None:
        return replace(authorities, successor=new_authority(now))
    if authorities.successor.age(now) >= OVERLAP:
        return Authorities(authorities.successor, authorities.seal_key)
    return authorities


class BrokenAuthority(Exception):
    """The Secret exists and cannot be read. The message names it and the remedy."""


class AuthorityStore:
    """Reads, creates and renews the Secret in the operator's namespace."""

    def __init__(self, client: Client, namespace: str) -> None:
        self._client = client
        self._namespace = namespace

    async def obtain(self, now: datetime) -> Trust:
        """Return who is to be trusted at `now`, creating or renewing the Secret where that is due.

        Safe from any number of replicas at once: a create that loses reads what won, and a renewal carries
        the resourceVersion that it was computed from.

        Raises:
            BrokenAuthority: if the Secret exists but does not hold an authority.
        """
        while True:
            try:
                secret = await self._client.get(SECRETS, SECRET_NAME, self._namespace)
            except NotFound:
                fresh = Authorities(new_authority(now), secrets.token_bytes(KEY_BYTES))
                try:
                    await self._client.create(SECRETS, self._manifest(fresh), self._namespace)
                except AlreadyExists:
                    continue
                return fresh.trust
            stored = self._decode(secret)
            wanted = renewed(stored, now)
            if wanted is stored:
                return stored.trust
            try:
                await self._client.merge_patch(
                    SECRETS, SECRET_NAME, self._change(wanted, secret), self._namespace
                )
            except Conflict:
                continue
            return wanted.trust

    def _manifest(self, authorities: Authorities) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": SECRET_NAME,
                "namespace": self._namespace,
                "labels": {LABEL_MANAGED_BY: MANAGED_BY},
            },
            "data": {key: value for key, value in _encode(authorities).items() if value is not None},
        }

    def _change(self, authorities: Authorities, secret: dict[str, Any]) -> dict[str, Any]:
        return {
            "metadata": {"resourceVersion": secret["metadata"]["resourceVersion"]},
            "data": _encode(authorities),
        }

    def _decode(self, secret: dict[str, Any]) -> Authorities:
        data = secret.get("data") or {}
        try:
            raw = {key: base64.b64decode(value, validate=True) for key, value in data.items()}
            seal_key = raw.pop("seal.key")
            text = {key: value.decode("ascii") for key, value in raw.items()}
            successor = load_authority(text["next.crt"], text["next.key"]) if "next.crt" in text else None
            return Authorities(load_authority(text["ca.crt"], text["ca.key"]), seal_key, successor)
        except (KeyError, ValueError, binascii.Error) as error:
            raise BrokenAuthority(
                f"Secret {self._namespace}/{SECRET_NAME} holds no usable certificate authority ({error}); "
                f"delete it and the operator makes a new one (executors that are running will be retried)"
            ) from error


def _encode(authorities: Authorities) -> dict[str, str | None]:
    def b64(text: str) -> str:
        return base64.b64encode(text.encode("ascii")).decode("ascii")

    successor = authorities.successor
    return {
        "ca.crt": b64(authorities.current.pem),
        "ca.key": b64(authorities.current.key_pem),
        "seal.key": base64.b64encode(authorities.seal_key).decode("ascii"),
        "next.crt": b64(successor.pem) if successor else None,
        "next.key": b64(successor.key_pem) if successor else None,
    }
