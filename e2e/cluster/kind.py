"""One kind cluster: created with what this machine has, removed without a trace."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from e2e.cluster.isolation import CommandFailed, Isolation, configure_storage, isolated, use_netavark
from e2e.cluster.node_image import ensure_node_image
from e2e.cluster.packages import CannotRunHere, ensure_packages
from e2e.cluster.programs import ensure_kind, ensure_programs
from localcluster.binaries import cache_root
from localcluster.progress import Report, step
from localcluster.versions import KUBERNETES

CONFIG = Path(__file__).parent.parent / "kind.yaml"
NAME = "qiskit-operator-e2e"
STOCK_IMAGE = f"kindest/node:v{KUBERNETES}"
_READY = "--timeout=180s"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A running cluster. `wrap` turns a command into one that reaches the cluster's API server.

    `enforces_policies` says whether its NetworkPolicies have an effect, which takes a kernel with ip_set.
    """

    kubeconfig: Path
    kubectl: Path
    isolation: Isolation | None
    kind: Path
    enforces_policies: bool

    def wrap(self, argv: Sequence[str]) -> list[str]:
        """`argv` as it must be started to reach the API server at the kubeconfig's address."""
        return self.isolation.network_command(argv) if self.isolation else list(argv)

    def load(self, archive: Path, report: Report) -> None:
        """Put the images of a docker-archive onto every node."""
        with step(report, f"Loading {archive.name}"):
            command = [str(self.kind), "load", "image-archive", str(archive), "--name", NAME]
            if self.isolation:
                self.isolation.run(command)
            else:
                subprocess.run(command, check=True)


@contextmanager
def cluster(report: Report) -> Iterator[Cluster]:
    """Create the cluster of e2e/kind.yaml; on leaving it is gone.

    Raises:
        CannotRunHere: if this machine cannot hold one; the message says what would help.
    """
    if _docker_answers():
        with _with_docker(report) as running:
            yield running
        return
    ensure_packages(report)
    programs = ensure_programs(report)
    with isolated(report) as isolation:
        use_netavark(isolation.folder, _netavark(report))
        image = ensure_node_image(programs, isolation, report)
        configure_storage(isolation.folder, [image.store])
        kind, kubectl = programs["kind"], programs["kubectl"]
        create = [str(kind), "create", "cluster", "--name", NAME, "--config", str(CONFIG), "--wait", "120s"]
        with step(report, "Creating the kind cluster"):
            isolation.run([*create, "--image", image.tag])
        _route(isolation, kubectl)
        enforces = _has_ip_set(isolation, report)
        running = Cluster(isolation.folder / "kubeconfig", kubectl, isolation, kind, enforces)
        _wait_ready(running, report)
        yield running


@contextmanager
def _with_docker(report: Report) -> Iterator[Cluster]:
    kind = ensure_kind(report)
    found = shutil.which("kubectl")
    if found is None:
        raise CannotRunHere("kubectl is not on the PATH")
    with tempfile.TemporaryDirectory(prefix="qiskit-operator-e2e-") as folder:
        kubeconfig = Path(folder, "kubeconfig")
        base = [str(kind), "create", "cluster", "--name", NAME, "--config", str(CONFIG), "--wait", "120s"]
        try:
            with step(report, "Creating the kind cluster with Docker"):
                subprocess.run([*base, "--image", STOCK_IMAGE, "--kubeconfig", str(kubeconfig)], check=True)
            running = Cluster(kubeconfig, Path(found), None, kind, enforces_policies=True)
            _wait_ready(running, report)
            yield running
        finally:
            with step(report, "Deleting the kind cluster"):
                subprocess.run([str(kind), "delete", "cluster", "--name", NAME], check=True)


def _docker_answers() -> bool:
    docker = shutil.which("docker")
    if docker is None:
        return False
    return subprocess.run([docker, "info"], capture_output=True, check=False).returncode == 0


def _wait_ready(running: Cluster, report: Report) -> None:
    """Network plugin, CoreDNS and storage provisioner come up after kind says it is done."""
    kubectl = [str(running.kubectl), "--kubeconfig", str(running.kubeconfig)]
    # Where it cannot work the plugin restarts for ever, and nothing but the tests of policies needs it.
    pods = ["--all"] if running.enforces_policies else ["--selector=k8s-app!=kube-router"]
    with step(report, "Waiting for nodes and system pods"):
        for what in (
            ["node", "--all", "--for=condition=Ready"],
            ["deploy", "--all", "-A", "--for=condition=Available"],
            ["pod", *pods, "-n", "kube-system", "--for=condition=Ready"],
        ):
            subprocess.run(
                running.wrap([*kubectl, "wait", *what, _READY]), check=True, stdout=subprocess.DEVNULL
            )


def _has_ip_set(isolation: Isolation, report: Report) -> bool:
    """Whether the kernel can hold what the network plugin enforces NetworkPolicies by."""
    probe = "ipset create probe hash:ip && ipset destroy probe"
    try:
        isolation.run(["podman", "exec", f"{NAME}-control-plane", "sh", "-c", probe])
    except CommandFailed:
        report("This kernel has no ip_set: NetworkPolicies have no effect, and the tests of it are skipped")
        return False
    return True


def _route(isolation: Isolation, kubectl: Path) -> None:
    """Route pod traffic between nodes with the addresses that policies go by, as kind's own daemon does."""
    template = "{range .items[*]}{.metadata.name} {.status.addresses[0].address} {.spec.podCIDR}\n{end}"
    said = isolation.run([str(kubectl), "get", "nodes", "-o", f"jsonpath={template}"])
    nodes = [line.split() for line in said.splitlines() if line.strip()]
    for name, _, _ in nodes:
        for other, address, pods in nodes:
            if other != name:
                isolation.run(["podman", "exec", name, "ip", "route", "replace", pods, "via", address])


def _netavark(report: Report) -> Path:
    """podman's programs that resolve names; unpacked, for installing them would switch the machine's own."""
    packages = ("netavark", "aardvark-dns")
    folder = cache_root() / "kind" / f"netavark-{sha256(repr(packages).encode()).hexdigest()[:8]}"
    binaries = folder / "usr/lib/podman"
    if all(os.access(binaries / name, os.X_OK) for name in packages):
        return binaries
    folder.mkdir(parents=True, exist_ok=True)
    with step(report, "Fetching podman's network programs"), tempfile.TemporaryDirectory() as scratch:
        # apt drops its privileges to write, and a private folder would refuse it.
        os.chmod(scratch, 0o777)
        subprocess.run(
            ["apt-get", "-qq", "download", *packages], cwd=scratch, check=True, capture_output=True
        )
        for archive in Path(scratch).glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(archive), str(folder)], check=True)
    return binaries
