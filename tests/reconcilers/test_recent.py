"""Own writes are read back at once and call for no pass of their own (G36, G42)."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest

from api.views import QiskitJob
from informers import PRIORITY_CHANGE, PRIORITY_INITIAL, Key, Tombstone, key_of
from reconcilers.job.places import Places
from reconcilers.job.settings import JobSettings
from reconcilers.job.triggers import JobChanges
from reconcilers.recent import Recent
from tests.reconcilers.builders import a_job

pytestmark = pytest.mark.looptime


class Cache:
    """A cache that catches up when told."""

    def __init__(self) -> None:
        self.objects: dict[Key, QiskitJob] = {}
        self.version = "100"

    def get(self, namespace: str | None, name: str) -> QiskitJob | None:
        return self.objects.get(Key(namespace or "", name))

    def by_index(self, index: str, value: str) -> list[QiskitJob]:
        return []

    def version_for(self, namespace: str | None) -> str:
        return self.version

    def shows(self, job: QiskitJob) -> None:
        self.objects[key_of(job)] = job
        self.version = job.metadata.resource_version


def at_version(job: QiskitJob, version: int, **status: Any) -> QiskitJob:
    metadata = msgspec.structs.replace(job.metadata, resource_version=str(version))
    return msgspec.structs.replace(
        job, metadata=metadata, status=msgspec.structs.replace(job.status, **status)
    )


BEFORE = at_version(a_job().view, 100)
WRITTEN = at_version(BEFORE, 120, attempt=1)
KEY = key_of(BEFORE)


@pytest.fixture
def cache() -> Cache:
    cache = Cache()
    cache.shows(BEFORE)
    return cache


@pytest.fixture
def recent(cache: Cache) -> Recent[QiskitJob]:
    return Recent(cache)


async def test_g36_an_own_write_stands_in_for_the_cache_until_it_has_caught_up(
    cache: Cache, recent: Recent[QiskitJob]
) -> None:
    assert recent.get(KEY) is BEFORE
    recent.wrote(WRITTEN)
    assert recent.get(KEY) is WRITTEN
    cache.shows(at_version(BEFORE, 110))
    assert recent.get(KEY) is WRITTEN, "an older change of somebody else does not undo it"
    later = at_version(WRITTEN, 130)
    cache.shows(later)
    assert recent.get(KEY) is later


async def test_g36_an_object_that_was_deleted_after_the_own_write_is_gone(
    cache: Cache, recent: Recent[QiskitJob]
) -> None:
    recent.wrote(WRITTEN)
    cache.objects.clear()
    assert recent.get(KEY) is WRITTEN, "the cache may not even show its creation"
    cache.version = "125"
    assert recent.get(KEY) is None


async def test_g36_what_proved_wrong_is_forgotten(recent: Recent[QiskitJob]) -> None:
    recent.wrote(WRITTEN)
    recent.forget(KEY)
    assert recent.get(KEY) is BEFORE


class Queue:
    def __init__(self) -> None:
        self.added: list[tuple[str, int]] = []

    def add(self, key: Key, priority: int = PRIORITY_CHANGE) -> None:
        self.added.append((key.name, priority))


class NoBackends:
    def get(self, namespace: str | None, name: str) -> None:
        return None


class Changes:
    """The handler, with as much of a reconciler as it asks for."""

    def __init__(self, cache: Cache, recent: Recent[QiskitJob]) -> None:
        self.queue = Queue()
        places = Places(cache, recent, NoBackends(), JobSettings(executor_image="x"))
        self.handler = JobChanges(cast("Any", SimpleNamespace(recent=recent, places=places)), self.queue)


@pytest.fixture
def changes(cache: Cache, recent: Recent[QiskitJob]) -> Changes:
    return Changes(cache, recent)


async def test_g42_an_own_write_that_the_watch_brings_back_calls_for_no_pass(
    recent: Recent[QiskitJob], changes: Changes
) -> None:
    recent.wrote(WRITTEN)
    changes.handler.on_update(BEFORE, at_version(BEFORE, 120, attempt=1))
    assert changes.queue.added == []


async def test_g42_what_somebody_else_changed_calls_for_one(
    recent: Recent[QiskitJob], changes: Changes
) -> None:
    recent.wrote(WRITTEN)
    changes.handler.on_update(BEFORE, at_version(BEFORE, 119))
    changes.handler.on_update(BEFORE, at_version(BEFORE, 121))
    assert changes.queue.added == [("bell", PRIORITY_CHANGE)] * 2


async def test_g42_a_write_is_brought_back_only_once(recent: Recent[QiskitJob], changes: Changes) -> None:
    recent.wrote(WRITTEN)
    seen = at_version(BEFORE, 120, attempt=1)
    changes.handler.on_update(BEFORE, seen)
    changes.handler.on_update(seen, at_version(seen, 120))
    assert len(changes.queue.added) == 1, "the same version again is no echo any more"


async def test_g29_resyncs_and_what_was_there_before_wait_behind_changes(changes: Changes) -> None:
    changes.handler.on_add(BEFORE, initial=True)
    changes.handler.on_update(BEFORE, BEFORE)
    changes.handler.on_add(BEFORE, initial=False)
    assert [priority for _, priority in changes.queue.added] == [
        PRIORITY_INITIAL,
        PRIORITY_INITIAL,
        PRIORITY_CHANGE,
    ]


async def test_g7_a_deletion_that_nobody_saw_calls_for_a_pass_too(changes: Changes) -> None:
    changes.handler.on_delete(Tombstone(KEY, BEFORE))
    assert changes.queue.added == [("bell", PRIORITY_CHANGE)]
