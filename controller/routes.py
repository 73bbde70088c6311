"""From an event to the keys that it concerns (G41, G42): informer handlers that add to work queues.

    QiskitJob                  its own key, if something changed that a pass would read anew
    pod, result ConfigMap      the job that it belongs to: by owner reference, claim, or job UID
    pod, QiskitJob             besides, the backend that counts it
    QiskitBackend              its own key

Whose UID is whose is checked inside the reconcile; a route that is too generous costs one cheap pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

import msgspec

from api.meta import ObjectMeta
from api.names import ANNOTATION_CLAIM, LABEL_BACKEND, LABEL_JOB_UID
from api.views import QiskitBackend, QiskitJob
from informers import PRIORITY_CHANGE, PRIORITY_INITIAL, Informer, Key, KubernetesObject, Tombstone, key_of
from informers.handlers import last_state
from kube import QISKIT_BACKENDS, QISKIT_JOBS, PartialObject, Pod
from reconcilers.job.indexes import BY_UID

T = TypeVar("T", bound=KubernetesObject)

Add = Callable[[Key, int], None]
Keys = Callable[[T], Iterable[Key]]
Changed = Callable[[T, T], bool]


class Route(Generic[T]):
    """Adds the keys of changed objects to a queue: what was there at the start and resyncs behind the rest.

    `changed` says whether an update matters; an object that was replaced under its name always does.
    """

    def __init__(self, add: Add, keys: Keys[T], changed: Changed[T]) -> None:
        self._add = add
        self._keys = keys
        self._changed = changed

    def on_add(self, obj: T, initial: bool) -> None:
        self._send(obj, PRIORITY_INITIAL if initial else PRIORITY_CHANGE)

    def on_update(self, old: T, new: T) -> None:
        if old is new:
            self._send(new, PRIORITY_INITIAL)  # a resync
        elif old.metadata.uid != new.metadata.uid or self._changed(old, new):
            for key in {*self._keys(old), *self._keys(new)}:
                self._add(key, PRIORITY_CHANGE)

    def on_delete(self, last: T | Tombstone[T]) -> None:
        self._send(last_state(last), PRIORITY_CHANGE)

    def _send(self, obj: T, priority: int) -> None:
        for key in self._keys(obj):
            self._add(key, priority)


def own_key(obj: KubernetesObject) -> tuple[Key, ...]:
    """The object's own key."""
    return (key_of(obj),)


def job_of_child(jobs: Informer[QiskitJob]) -> Callable[[Pod | PartialObject], Iterable[Key]]:
    """The job that a pod or a result belongs to.

    The owner reference names it even before the job is in the cache. A warm pod is owned by its backend and
    claimed for a job; a retained result has no owner and only its label.
    """

    def keys(child: Pod | PartialObject) -> Iterable[Key]:
        metadata = child.metadata
        owner = metadata.controller
        if owner is not None and is_kind(owner.api_version, owner.kind, QISKIT_JOBS.group, QISKIT_JOBS.kind):
            return (Key(metadata.namespace, owner.name),)
        claim = metadata.annotations.get(ANNOTATION_CLAIM)
        if claim:
            return (Key(metadata.namespace, claim.split("/", 1)[0]),)
        uid = metadata.labels.get(LABEL_JOB_UID)
        if uid:
            found = jobs.by_index(BY_UID, uid)
            return [key_of(job) for job in found if job.metadata.namespace == metadata.namespace]
        return ()

    return keys


def backend_of_pod(pod: Pod) -> Iterable[Key]:
    """The backend that owns a warm pod, or whose label an executor carries."""
    metadata = pod.metadata
    owner = metadata.controller
    if owner is not None and is_kind(
        owner.api_version, owner.kind, QISKIT_BACKENDS.group, QISKIT_BACKENDS.kind
    ):
        return (Key(metadata.namespace, owner.name),)
    name = metadata.labels.get(LABEL_BACKEND)
    return (Key(metadata.namespace, name),) if name else ()


def backend_of_job(job: QiskitJob) -> Iterable[Key]:
    """The backend that a job asks for by name."""
    name = job.spec.backend.name
    return (Key(job.metadata.namespace, name),) if name else ()


def is_kind(api_version: str, kind: str, group: str, wanted: str) -> bool:
    """Whether an owner reference names this kind, in any version of its group."""
    return kind == wanted and api_version.rpartition("/")[0] == group


def job_changed(old: QiskitJob, new: QiskitJob) -> bool:
    """Whether a job's update is news to its reconciler.

    Its status is not: only the reconciler itself writes there, and it knows what it wrote. (A pass that ran
    on a cache behind its own writes is repeated by the queue, not by this event.)
    """
    return _shell(old.metadata) != _shell(new.metadata)


def job_moved(old: QiskitJob, new: QiskitJob) -> bool:
    """Whether a job's update changes what its backend counts."""
    return old.status.phase != new.status.phase or job_changed(old, new)


def backend_changed(old: QiskitBackend, new: QiskitBackend) -> bool:
    """Whether a backend's update is news to its reconciler: not its own status."""
    return _shell(old.metadata) != _shell(new.metadata)


def child_changed(old: Pod | PartialObject, new: Pod | PartialObject) -> bool:
    """Whether anything that is read of a pod or a result has changed."""
    return _content(old) != _content(new)


def _shell(metadata: ObjectMeta) -> object:
    """What says that a spec has changed, or that the object is on its way out."""
    return (metadata.generation, metadata.deletion_timestamp, metadata.finalizers, metadata.annotations)


def _content(obj: Pod | PartialObject) -> object:
    return msgspec.structs.replace(obj, metadata=msgspec.structs.replace(obj.metadata, resource_version=""))
