"""As whom a pod's processes run, and who owns the files made for them.

Without root everything stays with the user who started the node. Root is never passed on: a pod that does
not say otherwise, or asks for user 0, gets a user id that owns nothing on the machine.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NOBODY = 65532
"""The user of images that hold no users; nothing on a usual machine belongs to it."""


@dataclass(frozen=True, slots=True)
class Owner:
    """User and groups of a process; None where it stays the node's own."""

    user: int | None
    group: int | None
    groups: tuple[int, ...] = ()

    def take(self, path: Path, mode: int) -> None:
        """Give a file or folder to this owner."""
        path.chmod(mode)
        if self.user is not None and self.group is not None:
            os.chown(path, self.user, self.groups[0] if self.groups else self.group)


def owner_of(pod: Mapping[str, Any], container: Mapping[str, Any] | None = None, *, shed: bool) -> Owner:
    """The owner for a pod's files, or for one container's process. `shed`: whether to leave root at all."""
    if not shed:
        return Owner(None, None)
    of_pod = pod["spec"].get("securityContext") or {}
    of_container = (container or {}).get("securityContext") or {}
    user = of_container.get("runAsUser", of_pod.get("runAsUser")) or NOBODY
    group = of_container.get("runAsGroup", of_pod.get("runAsGroup")) or user
    fs_group = of_pod.get("fsGroup")
    extra = [*([fs_group] if fs_group else []), *of_pod.get("supplementalGroups", ())]
    return Owner(user, group, tuple(extra))
