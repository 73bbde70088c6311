"""The knobs of the local node."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from localcluster.node.images import DEFAULT_IMAGES
from localcluster.node.volumes import RENEW_AFTER


@dataclass(frozen=True)
class NodeSettings:
    """How a node behaves; times in seconds."""

    name: str = "local"
    images: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: dict(DEFAULT_IMAGES))
    """Which command stands for which image, as `Images` takes it."""
    pods: int = 500
    """How many pods the scheduler may put here at once; finished ones do not count."""
    shed_root: bool = True
    """Started as root, run pods under another user."""
    renew_tokens_after: float = RENEW_AFTER
    """Share of a token's life after which it is renewed."""
    first_backoff: float = 10.0
    """Before a container's second start; doubled for each further one, up to five minutes, as kubelets do."""
    memory_poll: float = 0.05
    """Between two looks at the memory of a container that has a limit."""
    lease_seconds: int = 40
    """How long the node counts as alive after its last sign of life, of which it gives one every quarter."""
