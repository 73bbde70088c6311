"""Whether a result could be stored where the spec says, looked up before anything is submitted."""

from __future__ import annotations

from api.names import GROUP
from api.seal import Seal
from api.views import QiskitJob
from kube import CONFIG_MAPS, PERSISTENT_VOLUME_CLAIMS, Client, NotFound, PartialObject
from reconcilers.job.receipts import is_result_of, result_names
from reconcilers.job.world import Output, OutputAbsent, OutputFree, OutputLeaving, OutputTaken


async def check_output(client: Client, job: QiskitJob, seal: Seal) -> Output:
    """Look at the place that `spec.output` names.

    Raises:
        kube.ApiError: if the API server cannot be asked.
    """
    namespace, location = job.metadata.namespace, job.spec.output.location
    if job.spec.output.type == "pvc":
        if not location:
            return OutputAbsent(
                "spec.output.type pvc needs spec.output.location, the name of a PersistentVolumeClaim"
            )
        try:
            await client.get(PERSISTENT_VOLUME_CLAIMS, location, namespace, type=PartialObject)
        except NotFound:
            return OutputAbsent(f"PersistentVolumeClaim {location} does not exist yet")
        return OutputFree()
    name = result_names(job)[0]
    try:
        found = await client.get(CONFIG_MAPS, name, namespace, type=PartialObject)
    except NotFound:
        return OutputFree()
    if is_result_of(found, job, seal):
        return OutputFree()
    if _is_leaving(found, job):
        return OutputLeaving()
    return OutputTaken(f"ConfigMap {name} exists and is not this job's; choose another spec.output.location")


async def find_result(client: Client, job: QiskitJob, seal: Seal) -> PartialObject | None:
    """The stored result of a job, asked of the API server itself.

    Raises:
        kube.ApiError: if the API server cannot be asked.
    """
    for name in result_names(job):
        try:
            found = await client.get(CONFIG_MAPS, name, job.metadata.namespace, type=PartialObject)
        except NotFound:
            continue
        if is_result_of(found, job, seal):
            return found
    return None


def _is_leaving(found: PartialObject, job: QiskitJob) -> bool:
    """Whether all owners of an object are earlier jobs of this job's name. As this one has the name, they are gone."""
    owners = found.metadata.owner_references
    return bool(owners) and all(
        owner.kind == "QiskitJob"
        and owner.api_version.partition("/")[0] == GROUP
        and owner.name == job.metadata.name
        and owner.uid != job.metadata.uid
        for owner in owners
    )
