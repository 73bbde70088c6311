"""Starting and ending the pods that wait for work."""

from __future__ import annotations

from backends.aer.marks import see_to_marks
from backends.aer.pods import AerSettings
from backends.aer.refusals import refusal
from backends.aer.warm import template_digest, warm_pod
from backends.contract import Owner, Resources
from kube import PODS, ApiError, Client, Conflict, NotFound, Pod


class WarmPods:
    """Makes and removes warm pods; which and how many is somebody else's decision."""

    def __init__(self, client: Client, settings: AerSettings) -> None:
        self._client = client
        self._settings = settings

    def digest(self, image: str, resources: Resources) -> str:
        """The value of LABEL_TEMPLATE on a pod that is made now."""
        return template_digest(self._settings, image, resources)

    async def create(self, backend: Owner, image: str, resources: Resources, token: str) -> Pod:
        """Start one. `token` is unique in the pool.

        Raises:
            backends.Refused: if the cluster will not have it.
            backends.ProviderUnavailable: if the API server cannot be asked.
        """
        body = warm_pod(self._settings, backend, image, resources, token)
        try:
            pod: Pod = await self._client.create(PODS, body, backend.namespace, type=Pod)
            await see_to_marks(self._client, body, pod)
        except ApiError as error:
            raise refusal(error) from error
        return pod

    async def remove(self, pod: Pod) -> bool:
        """End one, unless it has changed since: it may just have been claimed. Whether it is on its way out.

        Raises:
            kube.ApiError: if the API server cannot be asked.
        """
        metadata = pod.metadata
        try:
            await self._client.delete(
                PODS,
                metadata.name,
                metadata.namespace,
                uid=metadata.uid,
                resource_version=metadata.resource_version,
            )
        except NotFound:
            return True
        except Conflict:
            return False
        return True
