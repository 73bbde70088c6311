"""Which changes call for a pass over which job: handlers between the informers and the queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from api.names import LABEL_JOB_UID
from api.views import QiskitBackend, QiskitJob
from informers import PRIORITY_CHANGE, PRIORITY_INITIAL, Handler, Key, Tombstone, key_of, last_state
from kube import PartialObject, Pod
from reconcilers.job.indexes import BY_UID, is_waiting
from reconcilers.job.reconciler import JobReconciler
from reconcilers.job.world import is_open


class Queue(Protocol):
    """What is asked of the work queue."""

    def add(self, key: Key, priority: int = PRIORITY_CHANGE) -> None: ...


class Registered(Protocol):
    """A handler's place in an informer."""

    def remove(self) -> None: ...


class JobSource(Protocol):
    """What is asked of the jobs' informer."""

    def add_handler(self, handler: Handler[QiskitJob]) -> Registered: ...
    def by_index(self, index: str, value: str) -> list[QiskitJob]: ...


class BackendSource(Protocol):
    def add_handler(self, handler: Handler[QiskitBackend]) -> Registered: ...


class PodSource(Protocol):
    def add_handler(self, handler: Handler[Pod]) -> Registered: ...


class ResultSource(Protocol):
    def add_handler(self, handler: Handler[PartialObject]) -> Registered: ...


def connect(
    reconciler: JobReconciler,
    queue: Queue,
    *,
    jobs: JobSource,
    backends: BackendSource,
    pods: PodSource,
    results: ResultSource,
) -> tuple[Registered, ...]:
    """Let changes of all four kinds queue the jobs that they matter to, until the registrations are removed."""
    return (
        jobs.add_handler(JobChanges(reconciler, queue)),
        backends.add_handler(BackendChanges(reconciler, queue)),
        pods.add_handler(PodChanges(reconciler, queue)),
        results.add_handler(ResultChanges(jobs, queue)),
    )


@dataclass(frozen=True, slots=True)
class JobChanges:
    """A job's own changes. What this process wrote itself needs no pass; a place that falls free wakes the
    next in line, and so does whoever leaves the line without a place: it may have been woken for one."""

    reconciler: JobReconciler
    queue: Queue

    def on_add(self, obj: QiskitJob, initial: bool) -> None:
        self.queue.add(key_of(obj), PRIORITY_INITIAL if initial else PRIORITY_CHANGE)

    def on_update(self, old: QiskitJob, new: QiskitJob) -> None:
        if not self.reconciler.recent.caught_up(new):
            self.queue.add(key_of(new), PRIORITY_INITIAL if old is new else PRIORITY_CHANGE)
        self.reconciler.places.shown(new)
        is_same = old.metadata.uid == new.metadata.uid
        holds, waits = is_same and is_open(new), is_same and is_waiting(new)
        if not holds and (is_open(old) or (is_waiting(old) and not waits)):
            self._wake_next(old)

    def on_delete(self, last: QiskitJob | Tombstone[QiskitJob]) -> None:
        job = last_state(last)
        self.queue.add(key_of(job))
        self.reconciler.places.forget(job.metadata.uid)
        if is_open(job) or is_waiting(job):
            self._wake_next(job)

    def _wake_next(self, ended: QiskitJob) -> None:
        for key in self.reconciler.places.next_in_line(ended):
            self.queue.add(key)


@dataclass(frozen=True, slots=True)
class BackendChanges:
    """A backend that takes more jobs than before lets those in that wait."""

    reconciler: JobReconciler
    queue: Queue

    def on_add(self, obj: QiskitBackend, initial: bool) -> None:  # noqa: ARG002 - the handler's signature
        self._wake(obj)

    def on_update(self, old: QiskitBackend, new: QiskitBackend) -> None:
        if old.spec.limits != new.spec.limits:
            self._wake(new)

    def on_delete(self, last: QiskitBackend | Tombstone[QiskitBackend]) -> None:
        self._wake(last_state(last))

    def _wake(self, backend: QiskitBackend) -> None:
        for key in self.reconciler.places.takers(f"{backend.metadata.namespace}/{backend.metadata.name}"):
            self.queue.add(key)


@dataclass(frozen=True, slots=True)
class PodChanges:
    """A pod matters to the job that controls it."""

    reconciler: JobReconciler
    queue: Queue

    def on_add(self, obj: Pod, initial: bool) -> None:
        self._wake(obj, PRIORITY_INITIAL if initial else PRIORITY_CHANGE)

    def on_update(self, old: Pod, new: Pod) -> None:
        if old is new:
            return  # a resync: the job itself is replayed, too
        self._wake(new, PRIORITY_CHANGE)
        if old.metadata.owner_references != new.metadata.owner_references:
            self._wake(old, PRIORITY_CHANGE)

    def on_delete(self, last: Pod | Tombstone[Pod]) -> None:
        pod = last_state(last)
        self.reconciler.pod_deleted(pod)
        self._wake(pod, PRIORITY_CHANGE)

    def _wake(self, pod: Pod, priority: int) -> None:
        controller = pod.metadata.controller
        if controller is not None and controller.kind == "QiskitJob":
            self.queue.add(Key(pod.metadata.namespace, controller.name), priority)


@dataclass(frozen=True, slots=True)
class ResultChanges:
    """A result matters to the job whose UID it carries; one that outlives its job has no owner to go by."""

    jobs: JobSource
    queue: Queue

    def on_add(self, obj: PartialObject, initial: bool) -> None:
        if not initial:  # the jobs are replayed themselves
            self._wake(obj)

    def on_update(self, old: PartialObject, new: PartialObject) -> None:
        if old is not new:
            self._wake(new)

    def on_delete(self, last: PartialObject | Tombstone[PartialObject]) -> None:
        """A result that is deleted changes nothing about its job."""

    def _wake(self, stored: PartialObject) -> None:
        for job in self.jobs.by_index(BY_UID, stored.metadata.labels.get(LABEL_JOB_UID, "")):
            self.queue.add(key_of(job))
