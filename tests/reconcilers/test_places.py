"""Who may run when not all may: places by priority, then by age."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from api.phases import Phase
from api.views import QiskitBackend, QiskitJob
from informers import PRIORITY_CHANGE, Key, key_of
from reconcilers.backend.triggers import CountChanges
from reconcilers.job.indexes import JOB_INDEXERS
from reconcilers.job.places import Places
from reconcilers.job.settings import JobSettings
from reconcilers.job.triggers import JobChanges
from reconcilers.recent import Recent
from tests.reconcilers.builders import NAMESPACE, JobBuilder, a_backend, a_job, at


class Cache:
    """Cached jobs, filed as the informer files them."""

    def __init__(self) -> None:
        self.objects: dict[Key, QiskitJob] = {}

    def put(self, *jobs: JobBuilder) -> None:
        self.objects.update({key_of(job.view): job.view for job in jobs})

    def get(self, namespace: str | None, name: str) -> QiskitJob | None:
        return self.objects.get(Key(namespace or "", name))

    def by_index(self, index: str, value: str) -> list[QiskitJob]:
        return [job for job in self.objects.values() if value in JOB_INDEXERS[index](job)]

    def version_for(self, namespace: str | None) -> str:
        return "100"


class Backends:
    def __init__(self, *backends: QiskitBackend) -> None:
        self.backends = {backend.metadata.name: backend for backend in backends}

    def get(self, namespace: str | None, name: str) -> QiskitBackend | None:
        return self.backends.get(name)


def a_house(*backends: QiskitBackend, max_executors: int = 0) -> tuple[Cache, Places, Recent[QiskitJob]]:
    cache = Cache()
    recent: Recent[QiskitJob] = Recent(cache)
    settings = JobSettings(executor_image="x", max_executors=max_executors)
    return cache, Places(cache, recent, Backends(*backends), settings), recent


def write(places: Places, recent: Recent[QiskitJob], job: JobBuilder) -> None:
    """As the reconciler does after each of its writes."""
    recent.wrote(job.view)
    places.wrote(job.view)


def one(
    name: str, *, created: float = 0, priority: str = "normal", backend: str | None = "pool"
) -> JobBuilder:
    choice: dict[str, Any] = {"type": "local_simulator", **({"name": backend} if backend else {})}
    return a_job(name, uid=f"uid-{name}", created=created).with_spec(
        backend=choice, execution={"priority": priority}
    )


def waiting(name: str, **more: Any) -> JobBuilder:
    return one(name, **more).examined().with_status(phase=Phase.SCHEDULING, reason="Queued")


def holding(name: str, **more: Any) -> JobBuilder:
    job = one(name, **more)
    return job.scheduled()


async def test_without_a_limit_everybody_runs() -> None:
    _, places, _ = a_house(a_backend())
    assert [places.ask(one(f"job-{n}").view) for n in range(50)] == [0] * 50


async def test_as_many_run_as_may_even_before_the_cache_shows_it() -> None:
    _, places, _ = a_house(a_backend(limits={"concurrentJobs": 2}))
    assert [places.ask(one(f"job-{n}").view) for n in range(4)] == [0, 0, 1, 1]


async def test_a_place_that_was_given_and_not_taken_is_free_again() -> None:
    cache, places, _ = a_house(a_backend(limits={"concurrentJobs": 1}))
    first = one("first")
    cache.put(first)
    assert places.ask(first.view) == 0
    places.settle("uid-first")
    assert places.ask(one("second").view) == 0


async def test_a_place_is_held_once_the_attempt_is_written_though_the_cache_lags() -> None:
    cache, places, recent = a_house(a_backend(limits={"concurrentJobs": 1}))
    cache.put(one("first"))
    assert places.ask(one("first").view) == 0
    recorded = holding("first").with_metadata(resource_version="101")
    write(places, recent, recorded)
    places.settle("uid-first")
    assert places.ask(one("second").view) == 1
    cache.put(holding("first"))
    assert places.ask(one("third").view) == 1


async def test_a_retry_asks_anew_though_the_cache_never_showed_the_attempt_before() -> None:
    """What was given for the attempt that is over counts for nobody: the retry would run beside who got its place."""
    cache, places, recent = a_house(a_backend(limits={"concurrentJobs": 1}))
    cache.put(one("first"))
    assert places.ask(one("first").view) == 0
    recorded = holding("first").with_metadata(resource_version="101")
    write(places, recent, recorded)
    places.settle("uid-first")
    over = one("first").retrying(due=0).with_metadata(resource_version="102")
    recent.wrote(over.view)
    assert places.ask(over.view) == 0
    assert places.ask(one("second").view) == 1, "the retry is about to be written"


async def test_asking_again_gives_the_same_place() -> None:
    _, places, _ = a_house(a_backend(limits={"concurrentJobs": 1}))
    assert places.ask(one("first").view) == 0
    assert places.ask(one("first").view) == 0
    assert places.ask(holding("other").view) == 0, "its attempt is recorded: it holds one"


async def test_priority_goes_first_and_then_age() -> None:
    cache, places, _ = a_house(a_backend(limits={"concurrentJobs": 1}))
    cache.put(holding("busy"))
    line = [
        waiting("old", created=0),
        waiting("young", created=5),
        waiting("urgent", created=9, priority="urgent"),
        waiting("low", created=0, priority="low"),
    ]
    cache.put(*line)
    positions = {job.view.metadata.name: places.ask(job.view) for job in line}
    assert positions == {"urgent": 1, "old": 2, "young": 3, "low": 4}


async def test_whoever_comes_later_does_not_overtake_those_who_wait() -> None:
    cache, places, _ = a_house(a_backend(limits={"concurrentJobs": 1}))
    cache.put(waiting("waits", created=0))
    assert places.ask(one("new", created=7).view) == 1, "the free place is for the one that waits"
    assert places.ask(waiting("waits", created=0).view) == 0


async def test_a_suspended_or_cancelled_job_stands_in_nobodys_way() -> None:
    cache, places, _ = a_house(a_backend(limits={"concurrentJobs": 1}))
    cache.put(waiting("held").with_spec(suspend=True), waiting("ended").with_spec(cancel=True))
    assert places.ask(one("new", created=7).view) == 0


async def test_a_job_that_somebodys_finalizer_keeps_from_going_holds_no_place() -> None:
    cache, places, _ = a_house(a_backend(limits={"concurrentJobs": 1}))
    cache.put(holding("going").with_metadata(deletion_timestamp=at(5), finalizers=("example.org/keep",)))
    assert places.counts(f"{NAMESPACE}/pool") == (0, 0)
    assert places.ask(one("new", created=7).view) == 0


async def test_the_next_in_line_are_woken_when_a_job_ends() -> None:
    cache, places, _ = a_house(a_backend(limits={"concurrentJobs": 2}))
    cache.put(holding("running"))
    cache.put(*(waiting(f"job-{n}", created=n) for n in range(5)))
    ended = holding("ended").view
    assert places.next_in_line(ended) == [Key(NAMESPACE, "job-0")]


class Queue:
    """Remembers which keys were queued."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def add(self, key: Key, priority: int = PRIORITY_CHANGE) -> None:
        self.names.append(key.name)

    def add_after(self, key: Key, seconds: float, priority: int | None = None) -> None:
        self.names.append(key.name)


@pytest.mark.parametrize(
    "left",
    [
        pytest.param(one("first").with_status(phase=Phase.FAILED, reason="OutputConflict"), id="failed"),
        pytest.param(waiting("first").with_spec(cancel=True), id="cancelled"),
        pytest.param(waiting("first").with_spec(suspend=True), id="suspended"),
        pytest.param(waiting("first").with_metadata(uid="uid-of-another"), id="made again"),
        pytest.param(None, id="deleted"),
    ],
)
async def test_the_next_in_line_is_woken_when_the_first_leaves_it_without_its_place(
    left: JobBuilder | None,
) -> None:
    """The place was free, and the first in line had been woken for it: nobody else would be."""
    cache, places, recent = a_house(a_backend(limits={"concurrentJobs": 1}))
    queue = Queue()
    changes = JobChanges(cast("Any", SimpleNamespace(recent=recent, places=places)), queue)
    cache.put(waiting("second", created=1))
    if left is None:
        changes.on_delete(waiting("first").view)
    else:
        changes.on_update(waiting("first").view, left.view)
    assert "second" in queue.names
    queue.names.clear()
    cache.put(holding("first"))
    changes.on_update(waiting("first").view, holding("first").view)
    assert "second" not in queue.names, "it has the place"


async def test_a_backend_is_counted_anew_when_a_job_of_its_own_is_followed_by_one_of_another() -> None:
    """What happened in between was told to nobody: the watch was cut."""
    queue = Queue()
    successor = one("job", backend=None).with_metadata(uid="uid-of-another")
    CountChanges(queue).on_update(holding("job").view, successor.view)
    assert queue.names == ["pool"]


async def test_the_operators_own_limit_counts_all_jobs() -> None:
    cache, places, _ = a_house(a_backend(), max_executors=2)
    cache.put(holding("one", backend=None), holding("two"))
    assert places.ask(one("three", backend=None).view) == 1
    cache.put(one("two").with_status(phase=Phase.COMPLETED))
    assert places.ask(one("three", backend=None).view) == 0


async def test_who_waits_for_its_own_backend_does_not_hold_up_the_others() -> None:
    cache, places, _ = a_house(a_backend(limits={"concurrentJobs": 1}), max_executors=5)
    cache.put(holding("busy"), *(waiting(f"job-{n}", priority="urgent") for n in range(9)))
    assert places.ask(one("free", backend=None).view) == 0


async def test_what_runs_and_what_waits_is_counted() -> None:
    cache, places, _ = a_house(a_backend(limits={"concurrentJobs": 1}))
    cache.put(holding("busy"), waiting("a"), waiting("b"), one("new"))
    assert places.counts(f"{NAMESPACE}/pool") == (1, 2)


async def test_a_retry_holds_its_place_while_the_cache_shows_the_attempt_before() -> None:
    """The cache still shows the attempt before as open, then as over, and only then the one that was written."""
    cache, places, recent = a_house(a_backend(limits={"concurrentJobs": 1}))
    cache.put(holding("first"))
    over = one("first").retrying(due=0).with_metadata(resource_version="101")
    write(places, recent, over)
    assert places.ask(over.view) == 0
    again = holding("first").with_status(attempt=2).with_metadata(resource_version="102")
    write(places, recent, again)
    places.settle("uid-first")
    assert places.ask(one("second").view) == 1
    cache.put(over)
    places.shown(over.view)
    assert places.ask(one("second").view) == 1


async def test_a_place_is_held_though_a_later_write_of_its_pass_met_with_a_conflict() -> None:
    """What was remembered of the job is forgotten then; that its attempt was recorded is as true as before."""
    cache, places, recent = a_house(a_backend(limits={"concurrentJobs": 1}))
    cache.put(one("first"))
    assert places.ask(one("first").view) == 0
    recorded = holding("first").with_metadata(resource_version="101")
    write(places, recent, recorded)
    recent.forget(key_of(recorded.view))
    places.settle("uid-first")
    assert places.ask(one("second").view) == 1


async def test_a_place_is_held_while_nobody_knows_whether_its_attempt_was_recorded() -> None:
    """The answer to the write was lost: it may have been carried out, and then the cache will show it."""
    cache, places, _ = a_house(a_backend(limits={"concurrentJobs": 1}))
    first = one("first")
    cache.put(first)
    assert places.ask(first.view) == 0
    places.doubt(first.view)
    places.settle("uid-first")
    assert places.ask(one("second").view) == 1
    cache.put(first.with_metadata(resource_version="101"))
    assert places.ask(one("second").view) == 0, "somebody else has written: it was not carried out"


async def test_whose_write_was_in_doubt_asks_again_like_anybody_else() -> None:
    cache, places, _ = a_house(a_backend(limits={"concurrentJobs": 1}))
    cache.put(one("first"))
    assert places.ask(one("first").view) == 0
    places.doubt(one("first").view)
    places.settle("uid-first")
    cache.put(holding("other"))
    assert places.ask(one("first").view) == 1
    assert places.counts(f"{NAMESPACE}/pool") == (1, 0)
