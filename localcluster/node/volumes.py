"""A pod's volumes as folders: filled when the pod starts, its tokens renewed while it runs.

What a ConfigMap or Secret holds later on is not carried into a running pod.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kube import ApiError
from localcluster.node import downward
from localcluster.node.api import NodeApi
from localcluster.node.downward import NodeFacts, Pod
from localcluster.node.environment import expand
from localcluster.node.mounts import Mounts
from localcluster.node.ownership import Owner

_DEFAULT_TOKEN_SECONDS = 3600
RENEW_AFTER = 0.8
"""The share of a token's life after which a kubelet renews it, and so does this node."""
_SECONDS_BETWEEN_TRIES = 1.0


class NotMounted(RuntimeError):
    """A volume cannot be made now; the pod waits in ContainerCreating and it is tried again."""


@dataclass(frozen=True, slots=True)
class ProjectedToken:
    """A service account token that has to be in a file as long as the pod runs."""

    file: Path
    audiences: tuple[str, ...]
    seconds: int


class Volumes:
    """The volumes of one pod, below `folder`."""

    def __init__(
        self,
        pod: Pod,
        folder: Path,
        node: NodeFacts,
        api: NodeApi,
        owner: Owner,
        *,
        renew_after: float = RENEW_AFTER,
    ) -> None:
        self._pod = pod
        self._folder = folder
        self._node = node
        self._api = api
        self._owner = owner
        self._renew_after = renew_after
        self._tokens: dict[Path, ProjectedToken] = {}
        self._due: dict[Path, float] = {}
        self.folders: dict[str, Path] = {}
        """The folder of each volume, by the volume's name."""

    async def prepare(self) -> None:
        """Make and fill all of them. Raises `NotMounted`, after which it may be called again."""
        for volume in self._pod["spec"].get("volumes", ()):
            if volume["name"] not in self.folders:
                self.folders[volume["name"]] = await self._make(volume)
        for file, token in self._tokens.items():
            if file not in self._due:
                await self._renew(token)

    async def keep_tokens_fresh(self) -> None:
        """Renew each token in time; until cancelled. An API server that is away is asked again."""
        while self._due:
            file, due = min(self._due.items(), key=lambda item: item[1])
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            try:
                await self._renew(self._tokens[file])
            except ApiError:
                self._due[file] = time.monotonic() + _SECONDS_BETWEEN_TRIES

    def mounts(self, container: Mapping[str, Any], variables: Mapping[str, str]) -> Mounts:
        """Where this container's mount paths lie. `variables` are for `subPathExpr`."""
        places: dict[str, Path] = {}
        for mount in container.get("volumeMounts", ()):
            place = self.folders[mount["name"]]
            below = mount.get("subPath") or expand(mount.get("subPathExpr", ""), variables)
            if below:
                place = self._inside(place, below)
            places[mount["mountPath"]] = place
        return Mounts(places)

    def _inside(self, volume: Path, below: str) -> Path:
        place = volume / below
        if ".." in Path(below).parts or not place.resolve().is_relative_to(volume.resolve()):
            raise NotMounted(f"subPath {below!r} leaves its volume")
        if not place.exists():
            place.mkdir(parents=True)
            self._owner.take(place, 0o2770)
        return place

    async def _make(self, volume: Mapping[str, Any]) -> Path:
        if claim := volume.get("persistentVolumeClaim"):
            return await self._claimed(claim["claimName"])
        if host := volume.get("hostPath"):
            return Path(host["path"])
        folder = self._own_folder(volume["name"])
        if "emptyDir" in volume:
            return folder
        for kind in ("configMap", "secret", "downwardAPI", "projected"):
            if kind in volume:
                sources = volume[kind].get("sources", ()) if kind == "projected" else ({kind: volume[kind]},)
                for source in sources:
                    for path, content in await self._content(source, folder):
                        self._write(folder / path, content)
                return folder
        raise NotMounted(f"volume {volume['name']!r} is of a kind that the local node does not have")

    def _own_folder(self, name: str) -> Path:
        folder = self._folder / name
        folder.mkdir(parents=True, exist_ok=True)
        self._owner.take(folder, 0o770)
        return folder

    async def _claimed(self, claim: str) -> Path:
        folder = await self._api.claim_folder(self._pod["metadata"]["namespace"], claim)
        if folder is None:
            raise NotMounted(f"persistentvolumeclaim {claim!r} is not bound to a folder of this node")
        self._owner.take(folder, 0o2777)
        return folder

    async def _content(self, source: Mapping[str, Any], folder: Path) -> Iterator[tuple[str, bytes]]:
        namespace = self._pod["metadata"]["namespace"]
        if token := source.get("serviceAccountToken"):
            seconds = token.get("expirationSeconds", _DEFAULT_TOKEN_SECONDS)
            audiences = (token["audience"],) if token.get("audience") else ()
            file = folder / token["path"]
            self._tokens[file] = ProjectedToken(file, audiences, seconds)
            return iter(())
        if wanted := source.get("downwardAPI"):
            return iter([(item["path"], self._told(item).encode()) for item in wanted.get("items", ())])
        if wanted := source.get("configMap"):
            name = wanted["name"]
            found = await self._api.config_map(namespace, name)
        elif wanted := source.get("secret"):
            name = wanted.get("secretName") or wanted["name"]
            found = await self._api.secret(namespace, name)
        else:
            raise NotMounted(f"projected source {', '.join(source)!r} is none that the local node has")
        if found is None:
            if wanted.get("optional"):
                return iter(())
            raise NotMounted(f"{name!r} not found in namespace {namespace!r}")
        items = wanted.get("items") or [{"key": key, "path": key} for key in found]
        if missing := [item["key"] for item in items if item["key"] not in found]:
            raise NotMounted(f"{name!r} has no key {missing[0]!r}")
        return iter([(item["path"], found[item["key"]]) for item in items])

    def _told(self, item: Mapping[str, Any]) -> str:
        try:
            if reference := item.get("fieldRef"):
                return downward.field(self._pod, self._node, reference["fieldPath"])
            reference = item["resourceFieldRef"]
            containers = self._pod["spec"]["containers"]
            named = next(each for each in containers if each["name"] == reference["containerName"])
            return downward.resource(named, self._node, reference)
        except downward.UnknownField as error:
            raise NotMounted(str(error)) from error

    async def _renew(self, token: ProjectedToken) -> None:
        metadata = self._pod["metadata"]
        fresh = await self._api.token(
            metadata["namespace"],
            self._pod["spec"].get("serviceAccountName", "default"),
            audiences=token.audiences,
            seconds=token.seconds,
            pod_name=metadata["name"],
            pod_uid=metadata["uid"],
        )
        self._write(token.file, fresh.encode(), mode=0o440)
        self._due[token.file] = time.monotonic() + self._renew_after * token.seconds

    def _write(self, path: Path, content: bytes, mode: int = 0o440) -> None:
        """Put a file in place at once, so that no reader ever sees half of it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.unfinished")
        unfinished.touch(mode=0o600)
        unfinished.write_bytes(content)
        self._owner.take(unfinished, mode)
        os.replace(unfinished, path)
