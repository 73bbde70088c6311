"""A small provisioner: a folder of the node for every PersistentVolumeClaim of the storage class `local`."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from kube import (
    PERSISTENT_VOLUME_CLAIMS,
    PERSISTENT_VOLUMES,
    AlreadyExists,
    ApiError,
    Client,
    NotFound,
    Resource,
)

CLASS = "local"
PROVISIONER = "quantum.io/local-folder"
STORAGE_CLASSES = Resource("storage.k8s.io", "v1", "storageclasses", "StorageClass", namespaced=False)
_PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
_WATCH_SECONDS = 540
_SECONDS_BETWEEN_TRIES = 0.5


class Provisioner:
    """Makes volumes for claims, and removes them when their claim is gone."""

    def __init__(self, client: Client, folder: Path) -> None:
        self._client = client
        self._folder = folder

    async def install(self) -> None:
        """Create the storage class, as the default one."""
        body = {
            "apiVersion": STORAGE_CLASSES.api_version,
            "kind": STORAGE_CLASSES.kind,
            "metadata": {
                "name": CLASS,
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            },
            "provisioner": PROVISIONER,
            "reclaimPolicy": "Delete",
            "volumeBindingMode": "Immediate",
        }
        try:
            await self._client.create(STORAGE_CLASSES, body)
        except AlreadyExists:
            return

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(PERSISTENT_VOLUME_CLAIMS, self._provide))
            group.create_task(self._follow(PERSISTENT_VOLUMES, self._reclaim))

    async def _follow(self, resource: Resource, act: Callable[[dict[str, Any]], Awaitable[None]]) -> None:
        while True:
            try:
                async with self._client.watch(
                    resource, timeout_seconds=_WATCH_SECONDS, send_initial_events=True
                ) as lines:
                    async for line in lines:
                        event = msgspec.json.decode(line)
                        if event["type"] in ("ADDED", "MODIFIED"):
                            await act(event["object"])
            except ApiError:
                await asyncio.sleep(_SECONDS_BETWEEN_TRIES)

    async def _provide(self, claim: dict[str, Any]) -> None:
        spec = claim["spec"]
        if spec.get("storageClassName") != CLASS or spec.get("volumeName"):
            return
        metadata = claim["metadata"]
        name = f"pvc-{metadata['uid']}"
        folder = self._folder / name
        folder.mkdir(parents=True, exist_ok=True)
        volume = {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {"name": name, "annotations": {_PROVISIONED_BY: PROVISIONER}},
            "spec": {
                "capacity": {"storage": spec["resources"]["requests"]["storage"]},
                "accessModes": spec["accessModes"],
                "persistentVolumeReclaimPolicy": "Delete",
                "storageClassName": CLASS,
                "volumeMode": spec.get("volumeMode", "Filesystem"),
                "hostPath": {"path": str(folder)},
                "claimRef": {
                    "apiVersion": "v1",
                    "kind": "PersistentVolumeClaim",
                    "namespace": metadata["namespace"],
                    "name": metadata["name"],
                    "uid": metadata["uid"],
                },
            },
        }
        try:
            await self._client.create(PERSISTENT_VOLUMES, volume)
        except AlreadyExists:
            return

    async def _reclaim(self, volume: dict[str, Any]) -> None:
        metadata = volume["metadata"]
        ours = metadata.get("annotations", {}).get(_PROVISIONED_BY) == PROVISIONER
        if not ours or volume.get("status", {}).get("phase") != "Released":
            return
        shutil.rmtree(self._folder / metadata["name"], ignore_errors=True)
        try:
            await self._client.delete(PERSISTENT_VOLUMES, metadata["name"], uid=metadata["uid"])
        except NotFound:
            return
