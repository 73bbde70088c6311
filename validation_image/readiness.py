"""Whether the sandbox holds on this node: found out by running an empty child in it."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox import Layer, SandboxPolicy, SandboxUnavailable, Zygote, ZygoteFailed
from validation_image.settings import Settings
from validation_image.tasks import Probe, encode

_PROBE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Readiness:
    """`layers` hold; `problem` says why no user code can be run here, `None` if it can."""

    layers: frozenset[Layer]
    problem: str | None = None


async def probe(zygote: Zygote, settings: Settings) -> Readiness:
    """Shut an empty child in as a validation would be."""
    policy = SandboxPolicy(
        memory_bytes=settings.memory_bytes, relax=settings.sandbox_relax, setting="VALIDATION_SANDBOX_RELAX"
    )
    try:
        outcome = await zygote.run(encode(Probe()), policy, wall_seconds=_PROBE_SECONDS)
    except (SandboxUnavailable, ZygoteFailed) as error:
        return Readiness(frozenset(), str(error))
    if not outcome.succeeded:
        return Readiness(outcome.layers, f"an empty child ended with {outcome.end}")
    return Readiness(outcome.layers)
