"""The programs that a cluster needs beyond the control plane's own, built from Go modules and kept."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from localcluster.binaries import cache_root, ensure_binaries
from localcluster.gotoolchain import find_go
from localcluster.progress import Report, step
from localcluster.versions import CONTROL_PLANE, NODE_IMAGE

MODULES = Path(__file__).parent.parent / "gomod"
KIND_MODULE = "sigs.k8s.io/kind"

_PACKAGES = {
    "kind": ("kind", KIND_MODULE),
    "coredns": ("coredns", "github.com/coredns/coredns"),
    "local-path-provisioner": ("provisioner", "github.com/rancher/local-path-provisioner"),
    "pause": ("pause", "."),
    "kube-router": ("kube-router", "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router"),
}
_FLAGS = ("-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags", "-s -w")


@dataclass(frozen=True, slots=True)
class Programs:
    """Where every program lies, and where kind's own sources lie (its node files are part of the image)."""

    paths: dict[str, Path]
    kind_sources: Path

    def __getitem__(self, name: str) -> Path:
        return self.paths[name]


def ensure_kind(report: Report) -> Path:
    """kind itself; all that is needed where there is Docker."""
    return _build("kind", report)


def ensure_programs(report: Report) -> Programs:
    """Everything for a node image; the first build takes about 14 minutes on 2 cores, later ones nothing."""
    paths = ensure_binaries((*CONTROL_PLANE, *NODE_IMAGE), report)
    for name in _PACKAGES:
        paths[name] = _build(name, report)
    return Programs(paths, _module_folder(find_go(cache_root(), report)))


def _build(name: str, report: Report) -> Path:
    folder, package = _PACKAGES[name]
    module = MODULES / folder
    digest = sha256(repr(_FLAGS).encode())
    for file in sorted(module.glob("*")):
        digest.update(file.read_bytes())
    target = cache_root() / "e2e-bin" / digest.hexdigest()[:12] / name
    if os.access(target, os.X_OK):
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    go = find_go(cache_root(), report)
    unfinished = target.with_name(f".{name}.{os.getpid()}")
    with step(report, f"Building {name} from its Go module"):
        environment = os.environ | {"CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": ""}
        subprocess.run(
            [go, "build", *_FLAGS, "-o", unfinished, package], cwd=module, env=environment, check=True
        )
    unfinished.replace(target)
    return target


def _module_folder(go: Path) -> Path:
    environment = os.environ | {"GOWORK": "off", "GOFLAGS": "-mod=readonly"}
    said = subprocess.run(
        [go, "list", "-m", "-f", "{{.Dir}}", KIND_MODULE],
        cwd=MODULES / "kind",
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return Path(said.stdout.strip())
