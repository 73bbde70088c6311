"""How a reconciler notices that the cache lags behind its own writes (G36)."""

from __future__ import annotations

import pytest

from informers.expectations import EXPIRY, Expectations
from informers.key import Key
from informers.own_writes import OwnWrites
from informers.resource_version import has_reached, is_older
from tests.informers.scripted import Metadata, Thing

OWNER = Key("ns", "owner")


class Now:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def expectations(now: Now) -> Expectations:
    return Expectations(now)


def test_g36_an_owner_of_whom_nothing_is_expected_is_satisfied(expectations: Expectations) -> None:
    assert expectations.satisfied(OWNER)


def test_g36_creations_are_waited_for_one_by_one(expectations: Expectations) -> None:
    expectations.expect_creations(OWNER, 2)
    expectations.creation_observed(OWNER)
    assert not expectations.satisfied(OWNER)
    expectations.creation_observed(OWNER)
    assert expectations.satisfied(OWNER)
    assert len(expectations) == 0


def test_g36_deletions_are_waited_for_by_uid(expectations: Expectations) -> None:
    expectations.expect_deletions(OWNER, ["u1", "u2"])
    expectations.deletion_observed(OWNER, "u3")
    expectations.deletion_observed(OWNER, "u1")
    expectations.deletion_observed(OWNER, "u1")
    assert not expectations.satisfied(OWNER)
    expectations.deletion_observed(OWNER, "u2")
    assert expectations.satisfied(OWNER)


def test_g36_children_that_nobody_expected_do_not_pay_for_later_ones(expectations: Expectations) -> None:
    expectations.creation_observed(OWNER)
    expectations.creation_observed(OWNER)
    expectations.expect_creations(OWNER, 1)
    assert not expectations.satisfied(OWNER)


def test_g36_an_expectation_that_is_never_met_expires(
    expectations: Expectations, now: Now, caplog: pytest.LogCaptureFixture
) -> None:
    assert expectations.expires_in(OWNER) is None
    expectations.expect_creations(OWNER, 1)
    now.seconds += EXPIRY - 2
    assert not expectations.satisfied(OWNER)
    assert expectations.expires_in(OWNER) == 2
    now.seconds += 2
    assert expectations.expires_in(OWNER) == 1, "a wait of nothing would be none"
    assert expectations.satisfied(OWNER)
    assert "not seen" in caplog.text
    assert len(expectations) == 0


def test_g36_a_new_expectation_starts_the_expiry_anew(expectations: Expectations, now: Now) -> None:
    expectations.expect_creations(OWNER, 1)
    now.seconds += EXPIRY - 1
    expectations.expect_creations(OWNER, 1)
    now.seconds += 2
    assert not expectations.satisfied(OWNER)


def test_g36_expecting_nothing_leaves_no_trace(expectations: Expectations) -> None:
    expectations.expect_creations(OWNER, 0)
    expectations.expect_deletions(OWNER, [])
    assert len(expectations) == 0


def test_g36_an_owner_that_is_gone_is_forgotten(expectations: Expectations) -> None:
    expectations.expect_creations(OWNER, 5)
    expectations.forget(OWNER)
    assert expectations.satisfied(OWNER)


def test_g36_a_stale_cache_leads_to_no_second_child(expectations: Expectations) -> None:
    """Writes land at once and the cache lags: without expectations each pass would create once more."""
    created, visible = 0, 0

    def reconcile() -> None:
        nonlocal created
        if expectations.satisfied(OWNER) and visible < 3:
            missing = 3 - visible
            expectations.expect_creations(OWNER, missing)
            created += missing

    for _ in range(10):
        reconcile()
    for _ in range(3):
        visible += 1
        expectations.creation_observed(OWNER)
        reconcile()
    assert created == 3


class LaggingCache:
    """A cache that catches up when told."""

    def __init__(self) -> None:
        self.version = "10"
        self.obj: Thing | None = None

    def get(self, namespace: str | None, name: str) -> Thing | None:
        return self.obj

    def version_for(self, namespace: str | None) -> str:
        return self.version


def test_g36_a_key_is_stale_from_its_write_until_the_cache_has_reached_it(now: Now) -> None:
    cache = LaggingCache()
    writes = OwnWrites(cache, now)
    assert writes.fresh(OWNER)
    writes.wrote(OWNER, "15")
    assert not writes.fresh(OWNER)
    cache.version = "14"
    assert not writes.fresh(OWNER)
    cache.version = "15"
    assert writes.fresh(OWNER)
    assert len(writes) == 0


def test_g36_versions_compare_as_numbers_not_as_text(now: Now) -> None:
    cache = LaggingCache()
    cache.version = "99"
    writes = OwnWrites(cache, now)
    writes.wrote(OWNER, "100")
    assert not writes.fresh(OWNER)


def test_g36_a_bookmark_beyond_the_write_is_enough(now: Now) -> None:
    cache = LaggingCache()
    writes = OwnWrites(cache, now)
    writes.wrote(OWNER, "15")
    cache.version = "2000"
    assert writes.fresh(OWNER)


def test_g36_the_object_itself_at_the_written_version_is_enough(now: Now) -> None:
    cache = LaggingCache()
    writes = OwnWrites(cache, now)
    writes.wrote(OWNER, "opaque-15")
    cache.version = "opaque-9"
    assert not writes.fresh(OWNER)
    cache.obj = Thing(Metadata("owner", "ns", "u", "opaque-15"))
    assert writes.fresh(OWNER)


def test_g36_of_several_writes_the_latest_counts(now: Now) -> None:
    cache = LaggingCache()
    writes = OwnWrites(cache, now)
    writes.wrote(OWNER, "20")
    writes.wrote(OWNER, "15")
    cache.version = "17"
    assert not writes.fresh(OWNER)


def test_g36_a_write_that_is_never_seen_again_is_not_waited_for_without_end(now: Now) -> None:
    """After etcd was restored from a backup the version may lie beyond all that will come."""
    writes = OwnWrites(LaggingCache(), now)
    writes.wrote(OWNER, "999999")
    now.seconds += 301
    assert writes.fresh(OWNER)


def test_g4_versions_that_are_no_numbers_are_never_put_in_an_order() -> None:
    assert not is_older("a", "b")
    assert not is_older("", "7")
    assert not has_reached("b", "a")
    assert has_reached("a", "a")
    assert is_older("9", "10")
    assert not is_older("10", "10")
    assert has_reached("10", "9")
