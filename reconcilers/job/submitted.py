"""What this process submitted and its caches do not show yet, so that no attempt is submitted twice."""

from __future__ import annotations

from api.phases import is_terminal
from api.views import QiskitJob
from backends import Handle
from kube import Pod


class Submitted:
    """Handles of submitted attempts by the UID of their job."""

    def __init__(self) -> None:
        self._handles: dict[str, tuple[Handle, float]] = {}

    def note(self, job_uid: str, handle: Handle, now: float) -> None:
        """An attempt was submitted, or found where it had been; `now` in seconds since 1970."""
        self._handles[job_uid] = (handle, now)

    def awaited(self, job: QiskitJob, pods: tuple[Pod, ...]) -> tuple[Handle | None, float]:
        """What was submitted for a job and since when, until it is recorded and in the cache."""
        uid = job.metadata.uid
        noted = self._handles.get(uid)
        if noted is None:
            return None, 0.0
        handle, since = noted
        seen = any(pod.metadata.uid == handle.id for pod in pods) and job.status.job_id == handle.id
        if seen or handle.attempt.number != job.status.attempt or is_terminal(job.status.phase):
            del self._handles[uid]
            return None, 0.0
        return handle, since

    def forget(self, job_uid: str) -> None:
        """The job is gone."""
        self._handles.pop(job_uid, None)

    def __contains__(self, job_uid: str) -> bool:
        return job_uid in self._handles

    def __len__(self) -> int:
        return len(self._handles)
