"""Warm pods for attempts: which one, and that no two jobs are given the same.

A claim shows in the cache a moment after it was made; until then this process remembers what it has promised.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from backends import Slot
from backends.aer.warm import choose, is_free
from kube import Pod
from reconcilers.job.collaborators import Cache
from reconcilers.job.indexes import BY_UID, WARM
from reconcilers.job.settings import JobSettings
from reconcilers.job.submissions import asks_for_resources, resources_of, submission_of
from reconcilers.job.world import World

MOST_TRIED = 2
"""Warm pods that a pass tries to claim in vain. More gone at once means a pool that is going, and a cache that
does not show it yet: a pod of the job's own costs less than a write for each that is gone."""


@dataclass(slots=True)
class Slots:
    """Chooses among the cached pods. Nothing here waits, so that choosing and promising are one step."""

    pods: Cache[Pod]
    settings: JobSettings
    _promised: dict[str, str] = field(default_factory=dict)
    """The job's UID by the pod's."""

    def promise(self, world: World) -> Slot | None:
        """A warm pod for the job's next attempt; nobody else gets it until the cache shows it claimed."""
        if len(world.slots_tried) >= MOST_TRIED:
            return None
        job, backend = world.job, world.backend
        waiting = self.pods.by_index(WARM, job.metadata.namespace)
        if not waiting:
            return None
        self._promised = {uid: to for uid, to in self._promised.items() if self._is_free(uid)}
        taken = self._promised.keys() | world.slots_tried
        slot = choose(
            (pod for pod in waiting if pod.metadata.uid not in taken),
            submission_of(job, backend, self.settings, number=job.status.attempt + 1),
            explicit=resources_of(job, backend) if asks_for_resources(job) else None,
        )
        if slot is not None:
            self._promised[slot.id] = job.metadata.uid
        return slot

    def release(self, job_uid: str) -> None:
        """The job did not take what it was promised."""
        if self._promised:
            self._promised = {pod: to for pod, to in self._promised.items() if to != job_uid}

    def _is_free(self, pod_uid: str) -> bool:
        return any(map(is_free, self.pods.by_index(BY_UID, pod_uid)))


def slot_of(pod: Pod) -> Slot:
    """A warm pod as a submission names it."""
    metadata = pod.metadata
    return Slot(id=metadata.uid, name=metadata.name, version=metadata.resource_version)
