"""What a node needs to be let in, as files in one folder: its identity, its serving certificate, the CA."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from localcluster.controlplane import ControlPlane
from localcluster.kubeconfig import write_kubeconfig
from localcluster.ports import LOOPBACK


@dataclass(frozen=True, slots=True)
class Credentials:
    """The files. The node acts as itself; only the provisioner beside it has an administrator's rights."""

    folder: Path

    @property
    def node(self) -> Path:
        """Kubeconfig of `system:node:NAME`."""
        return self.folder / "node.kubeconfig"

    @property
    def provisioner(self) -> Path:
        """Kubeconfig of what creates volumes, which a node may not."""
        return self.folder / "provisioner.kubeconfig"

    @property
    def authority(self) -> Path:
        """The cluster's CA."""
        return self.folder / "ca.crt"

    @property
    def certificate(self) -> Path:
        """Serving certificate of the node."""
        return self.folder / "serving.crt"

    @property
    def key(self) -> Path:
        """Its key."""
        return self.folder / "serving.key"


def issue(plane: ControlPlane, name: str, folder: Path) -> Credentials:
    """Make the credentials of a node of that name."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    credentials = Credentials(folder)
    authority = plane.authority
    ca = authority.certificate
    node = authority.client(f"system:node:{name}", ["system:nodes"])
    provisioner = authority.client("local-provisioner", ["system:masters"])
    write_kubeconfig(credentials.node, plane.server, ca, node)
    write_kubeconfig(credentials.provisioner, plane.server, ca, provisioner)
    authority.server(name, [LOOPBACK, name]).write(folder / "serving")
    credentials.authority.write_bytes(ca)
    return credentials
