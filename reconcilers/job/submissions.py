"""From a job to the message that starts an attempt at it. Pure."""

from __future__ import annotations

from api.naming import volume_folder
from api.views import QiskitBackend, QiskitJob
from api.views import Resources as ResourcesView
from backends import Resources, Slot, Submission, Volume
from reconcilers.job.settings import JobSettings
from reconcilers.job.sizing import size
from reconcilers.job.world import attempt_of


def backend_name(job: QiskitJob) -> str:
    """What the job's backend is called in its status: its QiskitBackend's name, else the type."""
    return job.spec.backend.name or job.spec.backend.type


def resources_of(job: QiskitJob, backend: QiskitBackend | None) -> Resources:
    """What the attempt's pod asks of its node."""
    defaults = backend.spec.resources if backend is not None else ResourcesView()
    return size(job.spec.resources, defaults, job.status.circuit_metadata)


def asks_for_resources(job: QiskitJob) -> bool:
    """Whether the job itself says what it needs."""
    return bool(job.spec.resources.requests or job.spec.resources.limits)


def submission_of(
    job: QiskitJob,
    backend: QiskitBackend | None,
    settings: JobSettings,
    *,
    number: int | None = None,
    slot: Slot | None = None,
) -> Submission:
    """The submission of an attempt; the current one unless a number is given."""
    image = backend.spec.image if backend is not None else None
    return Submission(
        attempt=attempt_of(job, number),
        backend=backend_name(job),
        shots=job.spec.execution.shots,
        priority=job.spec.execution.priority,
        image=image or settings.executor_image,
        resources=resources_of(job, backend),
        volume=_volume(job),
        slot=slot,
    )


def _volume(job: QiskitJob) -> Volume | None:
    output, metadata = job.spec.output, job.metadata
    if output.type != "pvc" or output.location is None:
        return None
    parent = (output.path or "").strip("/")
    folder = volume_folder(metadata.name, metadata.uid)
    return Volume(claim=output.location, folder=f"{parent}/{folder}" if parent else folder)
