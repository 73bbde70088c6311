"""Which changes call for a pass over which backend: handlers between the informers and the queue."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from api.views import QiskitBackend, QiskitJob
from informers import PRIORITY_CHANGE, PRIORITY_INITIAL, Handler, Key, Tombstone, key_of, last_state
from kube import Pod
from reconcilers.backend.reconciler import COUNTS_EVERY, BackendReconciler, key_of_backend
from reconcilers.job.indexes import is_waiting
from reconcilers.job.world import is_open


class Queue(Protocol):
    """What is asked of the work queue."""

    def add(self, key: Key, priority: int = PRIORITY_CHANGE) -> None: ...
    def add_after(self, key: Key, seconds: float, priority: int | None = None) -> None: ...


class Registered(Protocol):
    """A handler's place in an informer."""

    def remove(self) -> None: ...


class BackendSource(Protocol):
    def add_handler(self, handler: Handler[QiskitBackend]) -> Registered: ...


class PodSource(Protocol):
    def add_handler(self, handler: Handler[Pod]) -> Registered: ...


class JobSource(Protocol):
    def add_handler(self, handler: Handler[QiskitJob]) -> Registered: ...


def connect(
    reconciler: BackendReconciler,
    queue: Queue,
    *,
    backends: BackendSource,
    pods: PodSource,
    jobs: JobSource,
) -> tuple[Registered, ...]:
    """Let changes of all three kinds queue the backends that they matter to, until they are removed."""
    return (
        backends.add_handler(BackendChanges(reconciler, queue)),
        pods.add_handler(PoolChanges(reconciler, queue)),
        jobs.add_handler(CountChanges(queue)),
    )


@dataclass(frozen=True, slots=True)
class BackendChanges:
    """A backend's own changes; what this process wrote itself needs no pass."""

    reconciler: BackendReconciler
    queue: Queue

    def on_add(self, obj: QiskitBackend, initial: bool) -> None:
        self.queue.add(key_of(obj), PRIORITY_INITIAL if initial else PRIORITY_CHANGE)

    def on_update(self, old: QiskitBackend, new: QiskitBackend) -> None:
        if not self.reconciler.recent.caught_up(new):
            self.queue.add(key_of(new), PRIORITY_INITIAL if old is new else PRIORITY_CHANGE)

    def on_delete(self, last: QiskitBackend | Tombstone[QiskitBackend]) -> None:
        self.queue.add(key_of(last_state(last)))


@dataclass(frozen=True, slots=True)
class PoolChanges:
    """A pod matters to the backend whose pool it is in, and to the one whose pool it has left."""

    reconciler: BackendReconciler
    queue: Queue

    def on_add(self, obj: Pod, initial: bool) -> None:
        key = key_of_backend(obj)
        if key is not None:
            if not initial:
                self.reconciler.expectations.creation_observed(key)
            self.queue.add(key, PRIORITY_INITIAL if initial else PRIORITY_CHANGE)

    def on_update(self, old: Pod, new: Pod) -> None:
        if old is new:
            return
        before, after = key_of_backend(old), key_of_backend(new)
        if before is not None and (before != after or new.metadata.deletion_timestamp is not None):
            self.reconciler.expectations.deletion_observed(before, old.metadata.uid)
        for key in {before, after}:
            if key is not None:
                self.queue.add(key)

    def on_delete(self, last: Pod | Tombstone[Pod]) -> None:
        pod = last_state(last)
        key = key_of_backend(pod)
        if key is not None:
            self.reconciler.expectations.deletion_observed(key, pod.metadata.uid)
            self.queue.add(key)


@dataclass(frozen=True, slots=True)
class CountChanges:
    """A job that takes, leaves or waits for a place changes its backend's counts; many do so at once, so
    the backend is looked at a little later."""

    queue: Queue

    def on_add(self, obj: QiskitJob, initial: bool) -> None:
        if not initial:
            self._count(obj)

    def on_update(self, old: QiskitJob, new: QiskitJob) -> None:
        if old.metadata.uid != new.metadata.uid:
            self._count(old)  # its successor of the same name may count elsewhere
        if new.spec.backend.name is None:
            return  # most jobs: they count for no backend
        if (is_open(old), is_waiting(old)) != (is_open(new), is_waiting(new)):
            self._count(new)

    def on_delete(self, last: QiskitJob | Tombstone[QiskitJob]) -> None:
        self._count(last_state(last))

    def _count(self, job: QiskitJob) -> None:
        name = job.spec.backend.name
        if name is not None:
            self.queue.add_after(Key(job.metadata.namespace, name), COUNTS_EVERY, PRIORITY_CHANGE)
