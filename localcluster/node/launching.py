"""Turns a container's spec into what its process is started with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from localcluster.keeping import Keeper
from localcluster.node.api import NodeApi
from localcluster.node.container import Container
from localcluster.node.downward import NodeFacts, Pod
from localcluster.node.environment import ConfigurationError, Sources, command, environment, references
from localcluster.node.host import ROOT, Host
from localcluster.node.images import Images
from localcluster.node.mounts import Mounts
from localcluster.node.ownership import owner_of
from localcluster.node.process import Launch
from localcluster.node.settings import NodeSettings
from localcluster.node.volumes import Volumes

_TMP = "/tmp"  # noqa: S108 - the mount path that stands for it in pods


class ImageUnknown(LookupError):
    """No program of this machine stands for the image."""


@dataclass(frozen=True)
class Launcher:
    """The node as one pod after the other is started on it. `server` is the API server's URL."""

    facts: NodeFacts
    settings: NodeSettings
    api: NodeApi
    keeper: Keeper
    host: Host
    images: Images
    server: str

    def folder(self, pod: Pod) -> Path:
        """Everything that the node keeps of a pod."""
        return self.host.folder / "pods" / str(pod["metadata"]["uid"])

    async def launch(self, pod: Pod, container: Container, volumes: Volumes) -> Launch:
        """What the container's next run is started with.

        Raises `ImageUnknown`, `ConfigurationError` or `NotMounted`; an `ApiError` if the API is away.
        """
        spec = container.spec
        entry_point = self.images.entry_point(container.image)
        if entry_point is None:
            raise ImageUnknown(container.image)
        sources = await self._read(pod, spec)
        # Once for subPathExpr, which takes the variables as the pod means them, and once for the process.
        plain = environment(spec, pod, self.facts, sources, Mounts({}))
        mounts = volumes.mounts(spec, plain)
        owner = owner_of(pod, spec, shed=self.host.shed)
        message_file = container.message_file
        message_file.parent.mkdir(parents=True, exist_ok=True)
        message_file.write_bytes(b"")
        owner.take(message_file, 0o600)
        variables = environment(
            spec, pod, self.facts, sources, mounts.and_also(container.message_path, message_file)
        )
        tmp = mounts.place(_TMP) or self._own_tmp(pod, spec)
        folder = self.folder(pod)
        outside = [place for place in volumes.folders.values() if not place.is_relative_to(folder)]
        security = spec.get("securityContext") or {}
        return Launch(
            argv=command(spec, entry_point, variables),
            env=self._basis(pod, tmp) | variables,
            cwd=ROOT,
            log=container.log(container.runs),
            message_file=message_file,
            message_from_log=spec.get("terminationMessagePolicy") == "FallbackToLogsOnError",
            isolation=self.host.isolation(
                owner, folder, tmp, outside, nnp=security.get("allowPrivilegeEscalation") is False
            ),
            memory_limit=container.memory_limit,
        )

    def _own_tmp(self, pod: Pod, spec: Mapping[str, Any]) -> Path:
        tmp = self.folder(pod) / "tmp"
        tmp.mkdir(parents=True, exist_ok=True)
        owner_of(pod, spec, shed=self.host.shed).take(tmp, 0o777)
        return tmp

    def _basis(self, pod: Pod, tmp: Path) -> dict[str, str]:
        """What an image would set, and what every kubelet adds."""
        server = urlsplit(self.server)
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(tmp),
            "TMPDIR": str(tmp),
            "LANG": "C.UTF-8",
            "PYTHONPATH": str(ROOT),
            "HOSTNAME": str(pod["metadata"]["name"]),
            "KUBERNETES_SERVICE_HOST": str(server.hostname),
            "KUBERNETES_SERVICE_PORT": str(server.port),
        }

    async def _read(self, pod: Pod, spec: Mapping[str, Any]) -> Sources:
        sources: dict[str, dict[str, Mapping[str, str]]] = {"configMap": {}, "secret": {}}
        for kind, name in references(spec):
            read = self.api.config_map if kind == "configMap" else self.api.secret
            content = await read(pod["metadata"]["namespace"], name)
            if content is not None:
                sources[kind][name] = {key: _text(key, value) for key, value in content.items()}
        return Sources(sources["configMap"], sources["secret"])


def _text(key: str, value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"the value of key {key!r} is no text") from error
