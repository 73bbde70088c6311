"""The Debian packages that a cluster without Docker needs: installed where that is possible, else named."""

from __future__ import annotations

import os
import shutil
import subprocess

from localcluster.progress import Report, step

PACKAGES = {
    "buildah": "buildah",
    "conntrack": "conntrack",
    "iptables": "iptables",
    "mmdebstrap": "mmdebstrap",
    "nft": "nftables",
    "podman": "podman",
    "runc": "runc",
    "tini": "tini",
}
"""Program to the package that brings it. containernetworking-plugins brings no program on the PATH."""

_BESIDE = ("containernetworking-plugins",)


class CannotRunHere(RuntimeError):
    """This machine cannot hold the cluster; the message says why and what would help."""


def ensure_packages(report: Report) -> None:
    """Install what is missing with apt-get.

    Raises:
        CannotRunHere: if something is missing and this is no Debian, or apt-get fails.
    """
    missing = [
        package for program, package in PACKAGES.items() if shutil.which(program, path=_path()) is None
    ]
    missing += [p for p in _BESIDE if not os.path.isdir("/usr/lib/cni")]
    if not missing:
        return
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise CannotRunHere(
            f"missing: {', '.join(missing)}. Install them, or install Docker, or set KUBECONFIG to a cluster"
        )
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    with step(report, f"Installing {', '.join(missing)}"):
        for command in (["update"], ["install", "-y", "--no-install-recommends", *missing]):
            done = subprocess.run(
                ["apt-get", "-qq", *command], env=environment, capture_output=True, text=True, check=False
            )
            if done.returncode != 0:
                raise CannotRunHere(f"apt-get {command[0]} failed:\n{done.stderr.strip()[-2000:]}")


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
