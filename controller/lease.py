"""The Lease record of leader election: what is read, what is written, and the timings that make it safe.

    sent                     sent + renew_deadline            sent + lease_duration
     │  guarded work runs      │  guarded work is cancelled    │  anybody else may take the lease
     └─────────────────────────┴───────────────────────────────┘
`sent` is the local time *before* the last successful renewal was sent: nobody can have observed it earlier.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from api.meta import ObjectMeta

LEASE_DURATION = 15.0
"""Seconds after which candidates may take a lease whose record did not change."""

RENEW_DEADLINE = 10.0
"""Seconds without a successful renewal after which the holder stops leading."""

RETRY_PERIOD = 2.0
"""Seconds between attempts to acquire or renew."""

JITTER_FACTOR = 1.2
"""Waits of candidates are stretched by up to this factor, so that they do not all ask at once."""

SHORTEST_CALL = 1.0
"""Seconds; the least that one call to the API server is given."""


@dataclass(frozen=True, slots=True)
class LeaseTimings:
    """Durations in seconds.

    Raises:
        ValueError: unless lease_duration > renew_deadline > 1.2 * retry_period > 0. Otherwise work could
            outlive the lease, or one slow call could lose it.
    """

    lease_duration: float = LEASE_DURATION
    renew_deadline: float = RENEW_DEADLINE
    retry_period: float = RETRY_PERIOD

    def __post_init__(self) -> None:
        if not self.lease_duration > self.renew_deadline:
            raise ValueError(
                f"the lease duration ({self.lease_duration:g} s) must be longer than the renew deadline "
                f"({self.renew_deadline:g} s), or work could go on after the lease is gone"
            )
        if not self.renew_deadline > JITTER_FACTOR * self.retry_period:
            raise ValueError(
                f"the renew deadline ({self.renew_deadline:g} s) must be longer than {JITTER_FACTOR:g} times "
                f"the retry period ({self.retry_period:g} s), or one failed call loses the lease"
            )
        if not self.retry_period > 0:
            raise ValueError(f"the retry period must be positive, not {self.retry_period:g} s")

    @property
    def call_timeout(self) -> float:
        """Seconds that one call may take, so that a hung call leaves time for another before the deadline."""
        return max(SHORTEST_CALL, self.renew_deadline / 2)


class LeaseSpec(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """`spec` of a Lease. The times are for people; no decision is made on them."""

    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """A Lease as far as election reads it."""

    metadata: ObjectMeta = ObjectMeta()
    spec: LeaseSpec = LeaseSpec()

    @property
    def holder(self) -> str:
        """Who holds the lease; empty if it was released."""
        return self.spec.holder_identity or ""


def micro_time(moment: datetime) -> str:
    """RFC 3339 with microseconds, as Lease times are written."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def claim_body(
    found: Lease | None, *, namespace: str, name: str, identity: str, duration: float, now: datetime
) -> dict[str, Any]:
    """The Lease that makes `identity` its holder: to be created, or patched over exactly what was `found`."""
    stamp = micro_time(now)
    spec: dict[str, Any] = {
        "holderIdentity": identity,
        # Whole seconds, rounded up: a candidate that reads the record must never wait less than we promised.
        "leaseDurationSeconds": int(-(-duration // 1)),
        "renewTime": stamp,
    }
    if found is None:
        spec |= {"acquireTime": stamp, "leaseTransitions": 0}
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": name, "namespace": namespace},
            "spec": spec,
        }
    if found.holder != identity:
        spec |= {"acquireTime": stamp, "leaseTransitions": (found.spec.lease_transitions or 0) + 1}
    return {"metadata": {"resourceVersion": found.metadata.resource_version}, "spec": spec}


def release_body(found: Lease, now: datetime) -> dict[str, Any]:
    """The patch that gives the lease up: no holder, and the shortest duration for whoever ignores that."""
    return {
        "metadata": {"resourceVersion": found.metadata.resource_version},
        "spec": {"holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": micro_time(now)},
    }
