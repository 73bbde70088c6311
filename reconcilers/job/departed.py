"""The last states of pods that are gone: a deletion tells them once, and no cache keeps them.

A node may end an executor and take its pod away within milliseconds. What the pod said of its end would be lost to a
pass that comes a moment later, or that is waiting for an answer just then.
"""

from __future__ import annotations

from api.phases import is_terminal
from api.views import QiskitJob
from backends.aer.observation import attempt_number
from kube import Pod


class Departed:
    """Pods of attempts that are not settled yet, by the UID of their job."""

    def __init__(self) -> None:
        self._pods: dict[str, Pod] = {}

    def note(self, pod: Pod, job: QiskitJob | None) -> None:
        """A pod was deleted that this job controls, if it is still there."""
        controller = pod.metadata.controller
        if job is None or controller is None or controller.uid != job.metadata.uid:
            return
        if not is_terminal(job.status.phase) and attempt_number(pod) >= job.status.attempt:
            self._pods[job.metadata.uid] = pod

    def last(self, job: QiskitJob) -> Pod | None:
        """The pod that the job's current attempt ran in, if it is known to be gone."""
        pod = self._pods.get(job.metadata.uid)
        if pod is None:
            return None
        if is_terminal(job.status.phase) or attempt_number(pod) < job.status.attempt:
            del self._pods[job.metadata.uid]
            return None
        return pod if pod.metadata.uid == job.status.job_id else None

    def forget(self, job_uid: str) -> None:
        """The job is gone."""
        self._pods.pop(job_uid, None)
