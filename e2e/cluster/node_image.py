"""kind's node image, made of a Debian system, programs from Go modules, and kind's own node files.

Kept in an image store outside the checkout, keyed by everything that goes into it; a cluster mounts the store
read-only beside its own, so that a cluster which is thrown away takes nothing of the image with it.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from e2e.cluster.archive import write_archive
from e2e.cluster.isolation import Isolation
from e2e.cluster.programs import Programs
from e2e.cluster.system_images import StorageManifest, system_images
from localcluster.binaries import cache_root
from localcluster.progress import Report, step
from localcluster.versions import KUBERNETES

NODE_FILES = Path(__file__).parent / "node"
TAG = f"docker.io/kindest/node:v{KUBERNETES}"

_PACKAGES = (
    "bash,busybox-static,ca-certificates,conntrack,containerd,containernetworking-plugins,curl,e2fsprogs,"
    "ethtool,iproute2,ipset,iptables,jq,kmod,libseccomp2,mount,nftables,pigz,procps,runc,socat,systemd,util-linux"
)


@dataclass(frozen=True, slots=True)
class NodeImage:
    """A built node image: its tag, and the store that holds it."""

    tag: str
    store: Path


def ensure_node_image(programs: Programs, isolation: Isolation, report: Report) -> NodeImage:
    """Return the image, building it on first use (about 3 minutes).

    The build runs inside `isolation`, whose mounts it needs; its pieces are moved into place only when whole.
    """
    root = cache_root() / "kind"
    key = _key(programs)
    store = root / f"node-{key}"
    if (store / ".complete").exists():
        return NodeImage(TAG, store)
    root.mkdir(parents=True, exist_ok=True)
    rootfs_tar = _debian(root, report)
    work = isolation.folder / "node-image"
    work.mkdir()
    rootfs = work / "rootfs"
    with step(report, "Unpacking the node's Debian system"):
        rootfs.mkdir()
        subprocess.run(["tar", "-C", rootfs, "-xf", rootfs_tar, "--exclude=./dev"], check=True)
    with step(report, "Writing the images that a node starts with"):
        write_archive(system_images(programs, rootfs), work / "system-images.tar")
    shutil.rmtree(rootfs)
    with step(report, "Building the node image"):
        context = _context(programs, rootfs_tar, work)
        shutil.rmtree(store, ignore_errors=True)
        build = ["buildah", "--root", str(store), "bud", "--isolation", "chroot", "--pull-never", "--quiet"]
        archive = f"{work}/system-images.tar:/system-images.tar:ro"
        isolation.run([*build, "-v", archive, "-t", TAG, str(context)], log=work / "build.log")
    (store / ".complete").touch()
    shutil.rmtree(work)
    return NodeImage(TAG, store)


def _debian(root: Path, report: Report) -> Path:
    target = root / f"debian-{sha256(_PACKAGES.encode()).hexdigest()[:12]}.tar"
    if target.exists():
        return target
    unfinished = target.with_suffix(".unfinished.tar")
    paths = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("man", "doc", "locale")]
    with step(report, "Fetching the node's Debian packages"):
        sources = [str(p) for p in Path("/etc/apt/sources.list.d").glob("debian.sources")]
        subprocess.run(
            [
                "mmdebstrap",
                "--quiet",
                "--variant=minbase",
                f"--include={_PACKAGES}",
                '--aptopt=APT::Install-Recommends "false"',
                *paths,
                "bookworm",
                str(unfinished),
                *sources,
            ],
            check=True,
        )
    unfinished.replace(target)
    return target


def _context(programs: Programs, rootfs_tar: Path, work: Path) -> Path:
    """The folder that the node image's Dockerfile is built in."""
    context = work / "context"
    shutil.copytree(NODE_FILES, context)
    shutil.copytree(programs.kind_sources / "images/base/files", context / "kind-files")
    subprocess.run(["chmod", "-R", "u+w", str(context / "kind-files")], check=True)
    shutil.rmtree(context / "kind-files/LICENSES", ignore_errors=True)
    (context / "bin").mkdir()
    for name in ("kubelet", "kubeadm", "kubectl"):
        shutil.copy(programs[name], context / "bin" / name)
    manifests = context / "manifests"
    manifests.mkdir(exist_ok=True)
    storage = StorageManifest.read(programs.kind_sources)
    (manifests / "default-storage.yaml").write_text(storage.manifest)
    config = context / "kind-files/etc/containerd/config.toml"
    config.write_text(_containerd_config(config.read_text()))
    shutil.copy(rootfs_tar, context / "base.tar")
    return context


def _containerd_config(text: str) -> str:
    """kind's containerd configuration, for a machine without CAP_SYS_RESOURCE and with the bridge plugin.

    Where the capability is there, not lowering a container's OOM score changes nothing that a test sees.
    """
    wanted = "restrict_oom_score_adj = true"
    text = text.replace("restrict_oom_score_adj = false", wanted)
    if wanted not in text:
        raise ValueError("kind's containerd configuration no longer sets restrict_oom_score_adj")
    template = "/etc/cni/template/10-bridge.conflist"
    return f'{text}\n  [plugins."io.containerd.grpc.v1.cri".cni]\n    conf_template = "{template}"\n'


def _key(programs: Programs) -> str:
    digest = sha256(_PACKAGES.encode())
    files = [p for p in sorted(NODE_FILES.rglob("*")) if p.is_file()]
    here = Path(__file__).parent
    for file in (*files, here / "system_images.py", here / "archive.py", here / "node_image.py"):
        digest.update(file.read_bytes())
    # A program's path names the hash of what it was built from.
    digest.update(
        repr(sorted((name, str(path.parent.name)) for name, path in programs.paths.items())).encode()
    )
    digest.update(str(programs.kind_sources.name).encode())
    return digest.hexdigest()[:12]
