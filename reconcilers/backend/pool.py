"""The warm pool: which pods to start and which to end, from those that there are. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from backends.aer.observation import has_ended, is_claimed
from backends.aer.warm import LABEL_TEMPLATE, waits
from kube import Pod

AT_ONCE = 10
"""Pods that one pass starts: the next pass follows as soon as these are seen."""


@dataclass(frozen=True, slots=True)
class Pool:
    """The pods of one backend's pool, sorted by what they are good for."""

    ready: tuple[Pod, ...] = ()
    starting: tuple[Pod, ...] = ()
    broken: tuple[Pod, ...] = ()
    outdated: tuple[Pod, ...] = ()
    leaving: tuple[Pod, ...] = ()

    @property
    def useful(self) -> int:
        """Pods that wait for work, or will."""
        return len(self.ready) + len(self.starting)


@dataclass(frozen=True, slots=True)
class Change:
    """What makes a pool as it should be."""

    start: int = 0
    end: tuple[Pod, ...] = ()


def sort(pods: Iterable[Pod], template: str) -> Pool:
    """Sort a backend's own pods. `template` is what LABEL_TEMPLATE is on a pod that is made today."""
    sorted_: dict[str, list[Pod]] = {
        kind: [] for kind in ("ready", "starting", "broken", "outdated", "leaving")
    }
    for pod in sorted(pods, key=lambda pod: (pod.metadata.creation_timestamp, pod.metadata.name)):
        if is_claimed(pod):
            continue
        sorted_[_kind(pod, template)].append(pod)
    return Pool(**{kind: tuple(found) for kind, found in sorted_.items()})


def change(pool: Pool, size: int) -> Change:
    """What to do for a pool of `size`: pods that are no use go, missing ones are started.

    Of too many the ones that are not ready go first, and then the youngest.
    """
    surplus = max(pool.useful - size, 0)
    spare = (*pool.starting[::-1], *pool.ready[::-1])[:surplus]
    return Change(start=min(max(size - pool.useful, 0), AT_ONCE), end=(*pool.broken, *pool.outdated, *spare))


def _kind(pod: Pod, template: str) -> str:
    if pod.metadata.deletion_timestamp is not None:
        return "leaving"
    if has_ended(pod):
        return "broken"
    if pod.metadata.labels.get(LABEL_TEMPLATE) != template:
        return "outdated"
    return "ready" if waits(pod) else "starting"
