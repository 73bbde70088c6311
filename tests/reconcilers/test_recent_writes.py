"""Own writes are read back at once, and the cache takes over when it has caught up."""

from __future__ import annotations

from api.views import QiskitJob
from informers import Key
from reconcilers.recent import Recent
from tests.reconcilers.builders import NAMESPACE, a_job

KEY = Key(NAMESPACE, "bell")


class Cache:
    def __init__(self, job: QiskitJob | None, version: str = "100") -> None:
        self.job, self.version = job, version

    def get(self, namespace: str | None, name: str) -> QiskitJob | None:
        return self.job

    def version_for(self, namespace: str | None) -> str:
        return self.version


OLD = a_job().view
WRITTEN = a_job().with_metadata(resource_version="105").with_status(message="ours").view
NEWER = a_job().with_metadata(resource_version="110").with_status(message="theirs").view


async def test_a_write_is_seen_before_the_cache_shows_it() -> None:
    recent = Recent(Cache(OLD))
    assert recent.get(KEY) is OLD
    recent.wrote(WRITTEN)
    assert recent.get(KEY) is WRITTEN


async def test_the_cache_takes_over_when_it_has_the_write_or_more() -> None:
    cache = Cache(OLD)
    recent = Recent(cache)
    recent.wrote(WRITTEN)
    cache.job, cache.version = NEWER, "110"
    assert recent.get(KEY) is NEWER


async def test_an_object_that_was_deleted_after_the_write_is_gone() -> None:
    cache = Cache(OLD)
    recent = Recent(cache)
    recent.wrote(WRITTEN)
    cache.job = None
    assert recent.get(KEY) is WRITTEN, "the cache is older than the write: it knows nothing of it"
    cache.version = "106"
    assert recent.get(KEY) is None


async def test_an_event_of_the_own_write_tells_nothing_new() -> None:
    recent = Recent(Cache(OLD))
    recent.wrote(WRITTEN)
    assert not recent.caught_up(OLD)
    assert not recent.caught_up(NEWER)
    assert recent.caught_up(WRITTEN)
    assert not recent.caught_up(WRITTEN), "it was forgotten"
