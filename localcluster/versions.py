"""Which programs make a cluster, in which versions, and how each is built."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

KUBERNETES = "1.34.4"
"""The newest line that still takes cgroup v1 without extra switches, so that the same build serves kind."""
ETCD = "3.6.16"
GO = "1.26.6"
"""The toolchain that is fetched where the machine has none; the module files ask for 1.26."""

MODULES = Path(__file__).parent / "gomod"

BUILD_FLAGS = ("-trimpath", "-buildvcs=false", "-mod=readonly")
_VERSION = "k8s.io/component-base/version"
_STRIPPED = "-s -w"
_LINK_FLAGS = {
    "kube": (
        f"{_STRIPPED} -X {_VERSION}.gitVersion=v{KUBERNETES} "
        f"-X {_VERSION}.gitMajor={KUBERNETES.split('.')[0]} -X {_VERSION}.gitMinor={KUBERNETES.split('.')[1]}"
    ),
    "etcd": _STRIPPED,
}


@dataclass(frozen=True, slots=True)
class Binary:
    """One program: its name, the folder of its module files, its Go package, and versions that will do."""

    name: str
    module: str
    package: str
    accepted: str

    @property
    def link_flags(self) -> str:
        """What goes behind `-ldflags`: no debug information, and the version that the program reports."""
        return _LINK_FLAGS.get(self.module, _STRIPPED)


def _kubernetes(name: str) -> Binary:
    line = ".".join(KUBERNETES.split(".")[:2])
    return Binary(name, "kube", f"k8s.io/kubernetes/cmd/{name}", f"v{line}.")


ETCD_SERVER = Binary("etcd", "etcd", "go.etcd.io/etcd/server/v3", "3.6.")

CONTROL_PLANE = (
    ETCD_SERVER,
    _kubernetes("kube-apiserver"),
    _kubernetes("kube-controller-manager"),
    _kubernetes("kube-scheduler"),
    _kubernetes("kubectl"),
)
"""What `python -m localcluster` and the tests need. kube-apiserver first: it builds what the others share."""

NODE_IMAGE = (_kubernetes("kubelet"), _kubernetes("kubeadm"), _kubernetes("kube-proxy"))
"""What a kind node image needs besides."""


def fingerprint() -> str:
    """Twelve hex digits that change whenever a build would give another program."""
    digest = sha256()
    for file in sorted(MODULES.glob("*/go.*")):
        digest.update(file.read_bytes())
    digest.update(repr((BUILD_FLAGS, _LINK_FLAGS, platform.machine())).encode())
    return digest.hexdigest()[:12]
