"""Why a pool is not filled. Pure."""

from __future__ import annotations

from api.reasons import Reason
from backends.aer.observation import is_running, started_at
from kube import Pod
from reconcilers.backend.pool import Pool
from reconcilers.job.failures import ending_of, waiting_cause
from reconcilers.job.moments import moment

SILENT_AFTER = 90.0
"""Seconds that a pod may run before the gateway hears from it. Imports take one on an idle core; an executor that
has not loaded everything after 60 gives up by itself."""


def trouble(pool: Pool, now: float) -> tuple[str, str] | None:
    """Reason and message of what is wrong with pods of the pool: they break, do not start, or are not heard of."""
    for pod in pool.broken:
        ending = ending_of(pod)
        return ending.reason, f"pod {pod.metadata.name}: {ending.message}"
    for pod in pool.starting:
        cause = waiting_cause(pod)
        if cause is not None:
            reason = "PodCannotStart" if cause.reason == Reason.PENDING_TIMEOUT else cause.reason
            return reason, f"pod {pod.metadata.name}: {cause.message}"
    for pod in pool.starting:
        due = _silent_at(pod)
        if due is not None and due <= now:
            said = (
                "runs, but has not reached the gateway; see its log, and NetworkPolicies that forbid the way"
            )
            return Reason.GATEWAY_UNAVAILABLE, f"pod {pod.metadata.name} {said}"
    return None


def silent_at(pool: Pool) -> float | None:
    """When the first of the pods that start counts as silent, in seconds since 1970."""
    return min((due for pod in pool.starting if (due := _silent_at(pod)) is not None), default=None)


def _silent_at(pod: Pod) -> float | None:
    started = moment(started_at(pod)) if is_running(pod) else None
    return started + SILENT_AFTER if started is not None else None
