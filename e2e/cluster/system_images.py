"""The images that kubeadm and kind expect inside a node, made of programs built from Go modules.

Tags are what kubeadm 1.34 lists (`kubeadm config images list`) and what kind's storage manifest names.
The images of kube-proxy and kube-router also hold the Debian programs that they call, with their libraries.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from e2e.cluster.archive import Image
from e2e.cluster.programs import Programs
from localcluster.versions import KUBERNETES

ETCD_TAG = "3.6.5-0"
COREDNS_TAG = "v1.12.1"
PAUSE_TAGS = ("3.10", "3.10.1")
"""kubeadm's own and the one that the node's containerd is configured with."""

KUBE_ROUTER_IMAGE = "docker.io/cloudnativelabs/kube-router:v2.1.0"
"""As node/manifests/default-cni.yaml has it."""

_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
_PACKET_PROGRAMS = (
    "usr/sbin/nft",
    "usr/sbin/xtables-legacy-multi",
    "usr/sbin/xtables-nft-multi",
    "usr/sbin/conntrack",
    "usr/sbin/ipset",
)
_IPTABLES = (
    "iptables",
    "iptables-save",
    "iptables-restore",
    "ip6tables",
    "ip6tables-save",
    "ip6tables-restore",
)


def system_images(programs: Programs, rootfs: Path) -> list[Image]:
    """All of them; `rootfs` is the unpacked Debian system of the node."""
    registry, version = "registry.k8s.io", f"v{KUBERNETES}"
    storage = StorageManifest.read(programs.kind_sources)
    certificates = {_CERTIFICATES: rootfs / _CERTIFICATES.lstrip("/")}
    images = [
        Image(
            f"{registry}/{name}:{version}",
            {f"/usr/local/bin/{name}": programs[name], **certificates},
            entrypoint=(f"/usr/local/bin/{name}",),
        )
        for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
    ]
    images += [
        Image(f"{registry}/etcd:{ETCD_TAG}", {"/usr/local/bin/etcd": programs["etcd"], **certificates}),
        Image(
            f"{registry}/coredns/coredns:{COREDNS_TAG}",
            {"/coredns": programs["coredns"], **certificates},
            entrypoint=("/coredns",),
        ),
        Image(
            storage.provisioner_image,
            {"/usr/local/bin/local-path-provisioner": programs["local-path-provisioner"], **certificates},
        ),
        Image(
            storage.helper_image,
            {"/bin/busybox": rootfs / "usr/bin/busybox"},
            links={f"/bin/{name}": "busybox" for name in ("sh", "rm", "mkdir")},
        ),
        _with_packet_programs(programs["kube-proxy"], rootfs, f"{registry}/kube-proxy:{version}"),
        _with_packet_programs(programs["kube-router"], rootfs, KUBE_ROUTER_IMAGE),
    ]
    images += [
        Image(
            f"{registry}/pause:{tag}",
            {"/pause": programs["pause"]},
            entrypoint=("/pause",),
            user="65535:65535",
        )
        for tag in PAUSE_TAGS
    ]
    return images


class StorageManifest:
    """kind's default storage class, as its sources write it: a manifest and the two images it names."""

    def __init__(self, manifest: str, provisioner_image: str, helper_image: str) -> None:
        self.manifest = manifest
        self.provisioner_image = provisioner_image
        self.helper_image = helper_image

    @classmethod
    def read(cls, kind_sources: Path) -> StorageManifest:
        """Read the constants out of kind's Go source."""
        source = (kind_sources / "pkg/build/nodeimage/const_storage.go").read_text()
        names = dict(re.findall(r'^const (\w+) = "([^"]+)"$', source, re.MULTILINE))
        found = re.search(r"const defaultStorageManifest = `(.*)`\s*\Z", source, re.DOTALL)
        if found is None or not {"storageProvisionerImage", "storageHelperImage"} <= set(names):
            raise ValueError("kind's sources no longer hold the storage manifest where it was")
        manifest = re.sub(r"` \+ (\w+) \+ `", lambda match: names[match[1]], found[1])
        return cls(manifest, names["storageProvisionerImage"], names["storageHelperImage"])


def _with_packet_programs(program: Path, rootfs: Path, tag: str) -> Image:
    """A program that writes packet rules, with the programs it does that by."""
    wanted = [*_PACKET_PROGRAMS, *(str(p.relative_to(rootfs)) for p in rootfs.glob("usr/lib/*/xtables/*.so"))]
    said = subprocess.run(
        ["chroot", str(rootfs), "ldd", *(f"/{path}" for path in wanted)],
        capture_output=True,
        text=True,
        check=False,
    )
    libraries = set(re.findall(r"(/\S+\.so\S*) \(0x", said.stdout))
    files = {path: rootfs / path.lstrip("/") for path in (*(f"/{p}" for p in wanted), *libraries)}
    for name in ("protocols", "services"):
        source = rootfs / "etc" / name
        if source.exists():
            files[f"/etc/{name}"] = source
    files[f"/usr/local/bin/{program.name}"] = program
    links = {f"/usr/sbin/{name}": "xtables-nft-multi" for name in _IPTABLES}
    return Image(tag, files, links)
