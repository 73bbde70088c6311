"""What a reconciler has asked for and not yet seen: keeps it from asking twice from a stale cache (G36a).

Recorded before the write; lowered by the informer's event, or when the write fails. Until nothing is missing,
counting children in the cache would count too few (or too many) and lead to one more create (or delete).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from informers.key import Key
from informers.timing import Clock, loop_clock

EXPIRY = 300.0
"""Seconds after which an expectation is given up: the event was lost, or the write never arrived."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Expected:
    since: float
    creations: int = 0
    deletions: set[str] = field(default_factory=set)


class Expectations:
    """Outstanding creations (counted) and deletions (by UID) for each owner."""

    def __init__(self, clock: Clock = loop_clock) -> None:
        self._clock = clock
        self._expected: dict[Key, _Expected] = {}

    def expect_creations(self, owner: Key, count: int) -> None:
        """So many children are about to be created."""
        if count > 0:
            self._of(owner).creations += count

    def expect_deletions(self, owner: Key, uids: Iterable[str]) -> None:
        """These children are about to be deleted."""
        if uids := set(uids):
            self._of(owner).deletions |= uids

    def creation_observed(self, owner: Key) -> None:
        """A child of the owner was added to the cache, or a create failed. Unexpected ones change nothing."""
        expected = self._expected.get(owner)
        if expected is not None and expected.creations:
            expected.creations -= 1
            self._drop_if_met(owner, expected)

    def deletion_observed(self, owner: Key, uid: str) -> None:
        """This child left the cache, or its delete failed."""
        expected = self._expected.get(owner)
        if expected is not None:
            expected.deletions.discard(uid)
            self._drop_if_met(owner, expected)

    def satisfied(self, owner: Key) -> bool:
        """Whether the cache shows everything that was asked for, or has been waited for long enough."""
        expected = self._expected.get(owner)
        if expected is None:
            return True
        if self._clock() - expected.since < EXPIRY:
            return False
        _log.warning(
            "%s: %d creations and %d deletions were not seen within %g s; going on without",
            owner,
            expected.creations,
            len(expected.deletions),
            EXPIRY,
        )
        del self._expected[owner]
        return True

    def expires_in(self, owner: Key) -> float | None:
        """Seconds until what is still missing is given up, 1 at least: time for another look, since no event may call
        for one. None if nothing is missing."""
        expected = self._expected.get(owner)
        return None if expected is None else max(expected.since + EXPIRY - self._clock(), 1.0)

    def forget(self, owner: Key) -> None:
        """The owner is gone."""
        self._expected.pop(owner, None)

    def __len__(self) -> int:
        return len(self._expected)

    def _of(self, owner: Key) -> _Expected:
        """The owner's expectations; each new one starts the expiry anew."""
        expected = self._expected.setdefault(owner, _Expected(0.0))
        expected.since = self._clock()
        return expected

    def _drop_if_met(self, owner: Key, expected: _Expected) -> None:
        if not expected.creations and not expected.deletions:
            del self._expected[owner]
