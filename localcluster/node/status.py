"""A pod's status as JSON, and its reports to the API server: the newest one always wins."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from kube import ApiError
from localcluster.node.api import NodeApi, PodIsGone
from localcluster.node.container import Container
from localcluster.node.downward import NodeFacts, Pod
from localcluster.node.states import Phase, now

_SECONDS_BETWEEN_TRIES = 0.5
_log = logging.getLogger(__name__)


def pod_status(
    pod: Pod,
    node: NodeFacts,
    started_at: str,
    phase: Phase,
    init: Sequence[Container],
    main: Sequence[Container],
    *,
    reason: str | None = None,
    message: str | None = None,
) -> dict[str, Any]:
    """What a kubelet would report of a pod in this state: of its conditions only those that are a kubelet's."""
    running = [container.status(main=True) for container in main]
    initialized = all(container.status(main=False)["ready"] for container in init)
    ready = phase == "Running" and all(status["ready"] for status in running)
    over = phase in ("Succeeded", "Failed")
    why = "PodCompleted" if phase == "Succeeded" else "PodFailed" if over else "ContainersNotReady"
    old = {condition["type"]: condition for condition in pod.get("status", {}).get("conditions", ())}
    conditions = [
        _condition(old, "PodReadyToStartContainers", initialized and not over),
        _condition(old, "Initialized", initialized, "" if initialized else "ContainersNotInitialized"),
        _condition(old, "Ready", ready, "" if ready else why),
        _condition(old, "ContainersReady", ready, "" if ready else why),
    ]
    return {
        "phase": phase,
        "reason": reason,
        "message": message,
        "startTime": started_at,
        "hostIP": node.address,
        "hostIPs": [{"ip": node.address}],
        "podIP": node.address,
        "podIPs": [{"ip": node.address}],
        "conditions": conditions,
        "initContainerStatuses": [container.status(main=False) for container in init],
        "containerStatuses": running,
    }


class Reporter:
    """Writes one pod's statuses, one at a time; those that were overtaken meanwhile are skipped."""

    def __init__(self, pod: Pod, api: NodeApi) -> None:
        self._pod = pod
        self._api = api
        self._next: dict[str, Any] | None = None
        self._written: dict[str, Any] = {}
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.gone = asyncio.Event()
        """Set once the pod turns out not to exist any more."""

    def report(self, status: dict[str, Any]) -> None:
        """Have this status written as soon as possible."""
        if self.gone.is_set() or status == (self._next or self._written):
            return
        self._next = status
        self._idle.clear()
        self._wake.set()

    async def flush(self) -> None:
        """Wait until the newest status is written, or the pod is gone."""
        await self._idle.wait()

    async def run(self) -> None:
        """Write until cancelled or the pod is gone. An API server that is away is asked again."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._next is not None:
                status, self._next = self._next, None
                try:
                    await self._api.write_status(self._pod, status)
                    self._written = status
                except PodIsGone:
                    self.gone.set()
                    self._idle.set()
                    return
                except ApiError as error:
                    _log.warning(
                        "The status of pod %s was not taken: %s", self._pod["metadata"]["name"], error
                    )
                    self._next = self._next or status
                    await asyncio.sleep(_SECONDS_BETWEEN_TRIES)
            self._idle.set()


def _condition(old: dict[str, Any], kind: str, holds: bool, reason: str = "") -> dict[str, Any]:
    """The reason is None if there is none: merged into an older condition, that takes its reason away."""
    value = "True" if holds else "False"
    before = old.get(kind)
    since = before["lastTransitionTime"] if before and before["status"] == value else now()
    return {"type": kind, "status": value, "lastTransitionTime": since, "reason": reason or None}
