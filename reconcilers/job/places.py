"""Who may run: places of a backend and of the operator, given by priority and then by age.

What is taken is read from the jobs themselves (an open attempt holds a place), so nothing has to be kept or
mended after a restart. Only between the moment a place is given and the moment the cache shows it, this
process remembers it: many workers ask at once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import nsmallest
from typing import Protocol

from api.views import QiskitBackend, QiskitJob
from informers import Key, OwnWrites, key_of
from informers.resource_version import is_older
from reconcilers.job.indexes import EVERYWHERE, OPEN, WAITING, is_waiting, scopes
from reconcilers.job.settings import JobSettings
from reconcilers.job.world import is_open
from reconcilers.recent import Recent

RANKS = {"urgent": 0, "high": 1, "normal": 2, "low": 3}


class Jobs(Protocol):
    """The cached jobs, with the indexes of `indexes.JOB_INDEXERS`."""

    def get(self, namespace: str | None, name: str) -> QiskitJob | None: ...
    def by_index(self, index: str, value: str) -> Sequence[QiskitJob]: ...
    def version_for(self, namespace: str | None) -> str: ...


class Backends(Protocol):
    """The cached backends."""

    def get(self, namespace: str | None, name: str) -> QiskitBackend | None: ...


@dataclass(slots=True)
class _Given:
    """A place that was given. `held` while the pass that got it is under way; `recorded` once its attempt is, until
    the attempt is over; `doubted` is the version of a state that was to be replaced by a write that did not succeed."""

    key: Key
    scopes: tuple[str, ...]
    held: bool = True
    recorded: bool = False
    doubted: str = ""


@dataclass(slots=True)
class Places:
    """Gives places. Nothing here waits, so that counting and giving are one step."""

    jobs: Jobs
    recent: Recent[QiskitJob]
    backends: Backends
    settings: JobSettings
    _given: dict[str, _Given] = field(default_factory=dict)
    _own: OwnWrites = field(init=False)

    def __post_init__(self) -> None:
        self._own = OwnWrites(self.jobs)

    def ask(self, job: QiskitJob) -> int:
        """0 if the job holds a place now, else its position in the line, from 1 on."""
        uid = job.metadata.uid
        given = self._given.get(uid)
        if is_open(job) or (given is not None and given.held):
            return 0
        # What is left of an attempt that is over before the cache has shown it is no place any more.
        self.forget(uid)
        ahead = 0
        for scope in scopes(job):
            limit = self._limit(scope)
            if limit is None:
                continue
            rank = self._ahead_of(job, scope)
            free = limit - self._taken(scope)
            ahead = max(ahead, rank - max(free, 0) + 1)
        if ahead > 0:
            return ahead
        self._given[uid] = _Given(key_of(job), scopes(job))
        return 0

    def wrote(self, job: QiskitJob) -> None:
        """This process has written this status. The cache may show older ones before, of other attempts, too."""
        given = self._given.get(job.metadata.uid)
        if given is not None:
            given.recorded, given.doubted = is_open(job), ""
            self._own.wrote(given.key, job.metadata.resource_version)

    def doubt(self, job: QiskitJob) -> None:
        """This state is about to be replaced. Whatever answer comes, or none, or a conflict with a write of this
        process's own that got none: if an attempt was recorded, the cache will show it."""
        given = self._given.get(job.metadata.uid)
        if given is not None:
            given.doubted = job.metadata.resource_version

    def settle(self, job_uid: str) -> None:
        """The pass is over: the place is the job's if its attempt was recorded, else free again."""
        given = self._given.get(job_uid)
        if given is not None:
            given.held = False
            self._is_unseen(job_uid, given)

    def shown(self, job: QiskitJob) -> None:
        """The cache has a new state of a job: from it everybody can see what place the job holds."""
        given = self._given.get(job.metadata.uid)
        if given is not None:
            self._is_unseen(job.metadata.uid, given)

    def forget(self, job_uid: str) -> None:
        """The job is gone."""
        given = self._given.pop(job_uid, None)
        if given is not None:
            self._own.forget(given.key)

    def next_in_line(self, ended: QiskitJob) -> list[Key]:
        """The jobs that may take the places which are free now that `ended` has let go of its own."""
        limited = (scope for scope in scopes(ended) if self._limit(scope) is not None)
        return [key for scope in limited for key in self.takers(scope)]

    def takers(self, scope: str) -> list[Key]:
        """The jobs that the free places of a scope are for, first come first."""
        limit = self._limit(scope)
        if limit is None:
            # A limit that was lifted lets everybody in; the operator's own one stays what it is.
            waiting = self.jobs.by_index(WAITING, scope) if scope != EVERYWHERE else ()
            return [key_of(job) for job in waiting]
        free = limit - self._taken(scope)
        if free <= 0:
            return []
        full = self._full_backends() if scope == EVERYWHERE else frozenset()
        able = (job for job in self.jobs.by_index(WAITING, scope) if full.isdisjoint(scopes(job)))
        return [key_of(job) for job in nsmallest(free, able, key=_rank)]

    def counts(self, scope: str) -> tuple[int, int]:
        """(jobs that hold a place, jobs that wait for one) in a scope."""
        return self._taken(scope), len(self.jobs.by_index(WAITING, scope))

    def _ahead_of(self, job: QiskitJob, scope: str) -> int:
        mine = _rank(job)
        full = self._full_backends() if scope == EVERYWHERE else frozenset()
        return sum(
            1
            for other in self.jobs.by_index(WAITING, scope)
            if other.metadata.uid != job.metadata.uid
            and _rank(other) < mine
            # Whoever waits for a place of its own backend stands in nobody's way here.
            and full.isdisjoint(scopes(other))
            and self._still(other)
        )

    def _full_backends(self) -> frozenset[str]:
        named = {
            scope
            for job in self.jobs.by_index(WAITING, EVERYWHERE)
            for scope in scopes(job)
            if scope != EVERYWHERE
        }
        return frozenset(
            scope
            for scope in named
            if (limit := self._limit(scope)) is not None and self._taken(scope) >= limit
        )

    def _still(self, cached: QiskitJob) -> bool:
        """Whether a job that the cache shows as waiting does so in its newest state, too."""
        newest = self.recent.get(key_of(cached))
        return newest is not None and is_waiting(newest)

    def _taken(self, scope: str) -> int:
        seen = {job.metadata.uid for job in self._open(scope)}
        unseen = [
            uid
            for uid, given in list(self._given.items())
            if scope in given.scopes and uid not in seen and self._is_unseen(uid, given)
        ]
        return len(seen) + len(unseen)

    def _open(self, scope: str) -> Iterable[QiskitJob]:
        for cached in self.jobs.by_index(OPEN, scope):
            newest = self.recent.get(key_of(cached))
            if newest is not None and newest.metadata.uid == cached.metadata.uid and is_open(newest):
                yield newest

    def _is_unseen(self, uid: str, given: _Given) -> bool:
        """Whether a place that was given is in use and the cache does not show it; else it is forgotten."""
        if given.held or self._is_in_doubt(uid, given):
            return True
        if given.recorded and not self._own.fresh(given.key):
            return True
        self.forget(uid)
        return False

    def _is_in_doubt(self, uid: str, given: _Given) -> bool:
        cached = self.jobs.get(*given.key)
        if not given.doubted or cached is None or cached.metadata.uid != uid:
            return False
        return not is_older(given.doubted, cached.metadata.resource_version)

    def _limit(self, scope: str) -> int | None:
        if scope == EVERYWHERE:
            return self.settings.max_executors or None
        namespace, _, name = scope.partition("/")
        backend = self.backends.get(namespace, name)
        return backend.spec.limits.concurrent_jobs if backend is not None else None


def _rank(job: QiskitJob) -> tuple[int, str, str]:
    """Smaller goes first: priority, then age, then name so that no two are equal."""
    priority = RANKS.get(job.spec.execution.priority, RANKS["normal"])
    return priority, job.metadata.creation_timestamp, f"{job.metadata.namespace}/{job.metadata.name}"
