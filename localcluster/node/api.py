"""What the local node asks of the API server, under its own identity."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import AsyncGenerator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from kube import (
    CONFIG_MAPS,
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    PODS,
    SECRETS,
    SERVICE_ACCOUNTS,
    Client,
    Conflict,
    NotFound,
    Resource,
)

_WATCH_SECONDS = 540
"""A little below the API server's own limit, so that the end of a watch is nothing unusual."""


class PodIsGone(LookupError):
    """The pod is not in the API any more, or its name belongs to another one by now."""


class NodeApi:
    """The requests of one node."""

    def __init__(self, client: Client, node_name: str) -> None:
        self.client = client
        self.node_name = node_name

    async def config_map(self, namespace: str, name: str) -> dict[str, bytes] | None:
        """A ConfigMap's content, or None if it does not exist."""
        found = await self._content(CONFIG_MAPS, namespace, name)
        if found is None:
            return None
        text = {key: value.encode() for key, value in (found.get("data") or {}).items()}
        return text | {key: b64decode(value) for key, value in (found.get("binaryData") or {}).items()}

    async def secret(self, namespace: str, name: str) -> dict[str, bytes] | None:
        """A Secret's content, or None if it does not exist."""
        found = await self._content(SECRETS, namespace, name)
        return found and {key: b64decode(value) for key, value in (found.get("data") or {}).items()}

    async def token(
        self,
        namespace: str,
        account: str,
        *,
        audiences: Sequence[str],
        seconds: int,
        pod_name: str,
        pod_uid: str,
    ) -> str:
        """A service account token that is worth nothing once the pod is deleted."""
        bound = {"kind": "Pod", "apiVersion": "v1", "name": pod_name, "uid": pod_uid}
        spec = {"audiences": list(audiences), "expirationSeconds": seconds, "boundObjectRef": bound}
        answer = await self.client.raw(
            "POST",
            SERVICE_ACCOUNTS.path(namespace, account, "token"),
            body=msgspec.json.encode(
                {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
            ),
        )
        return str(msgspec.json.decode(answer)["status"]["token"])

    async def claim_folder(self, namespace: str, claim: str) -> Path | None:
        """The folder behind a PersistentVolumeClaim, or None while it is not bound to one."""
        found = await self._content(PERSISTENT_VOLUME_CLAIMS, namespace, claim)
        volume_name = found and found["spec"].get("volumeName")
        if not volume_name:
            return None
        volume = await self.client.get(PERSISTENT_VOLUMES, volume_name)
        path = volume["spec"].get("hostPath", {}).get("path")
        return Path(path) if path else None

    async def write_status(self, pod: Mapping[str, Any], status: Mapping[str, Any]) -> None:
        """Report a pod's status. Raises `PodIsGone`, or an `ApiError` after which to try again."""
        metadata = pod["metadata"]
        # With the uid the API server refuses the report for a namesake that came later.
        body = {"metadata": {"uid": metadata["uid"]}, "status": status}
        try:
            await self.client.raw(
                "PATCH",
                PODS.path(metadata["namespace"], metadata["name"], "status"),
                body=msgspec.json.encode(body),
                # Merges conditions by their types, so that those of others stay: an eviction's, say, of which
                # nobody here has heard yet.
                content_type="application/strategic-merge-patch+json",
            )
        except NotFound as error:
            raise PodIsGone(metadata["name"]) from error
        except Conflict:
            # A namesake, or too many writers at the same moment, in which case it is worth another try.
            if not await self._is_there(pod):
                raise PodIsGone(metadata["name"]) from None
            raise

    async def remove(self, pod: Mapping[str, Any]) -> None:
        """Take a pod whose processes have ended out of the API."""
        metadata = pod["metadata"]
        try:
            await self.client.delete(
                PODS, metadata["name"], metadata["namespace"], uid=metadata["uid"], grace_period_seconds=0
            )
        except (NotFound, Conflict):
            return

    async def watch_pods(self) -> AsyncGenerator[tuple[str, dict[str, Any]], None]:
        """The pods bound to this node, then their changes: pairs of ADDED, MODIFIED, DELETED or SYNCED.

        SYNCED comes once, with an empty object, when every pod that exists has been seen. Ends when the API
        server ends the watch; the next call starts over.
        """
        async with self.client.watch(
            PODS,
            field_selector=f"spec.nodeName={self.node_name}",
            timeout_seconds=_WATCH_SECONDS,
            send_initial_events=True,
        ) as lines:
            async for line in lines:
                event = msgspec.json.decode(line)
                kind, pod = event["type"], event["object"]
                if kind == "BOOKMARK":
                    if "k8s.io/initial-events-end" in pod["metadata"].get("annotations", {}):
                        yield "SYNCED", {}
                elif kind == "ERROR":
                    return
                else:
                    yield kind, pod

    async def _is_there(self, pod: Mapping[str, Any]) -> bool:
        metadata = pod["metadata"]
        found = await self._content(PODS, metadata["namespace"], metadata["name"])
        return found is not None and found["metadata"]["uid"] == metadata["uid"]

    async def _content(self, resource: Resource, namespace: str, name: str) -> dict[str, Any] | None:
        try:
            return await self.client.get(resource, name, namespace)
        except NotFound:
            return None
