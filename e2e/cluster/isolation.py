"""Namespaces and cgroups of their own for podman, kind and its nodes, which never outlive this process.

The machine's mounts, network and cgroups stay untouched: what is mounted, configured or started inside is
seen only inside, and ends with the first process there (guardian.py).
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.guardian import cgroup_paths
from e2e.cluster.packages import CannotRunHere
from localcluster.progress import Report, step

_PREFIX = "qiskit-operator-e2e-"
_BASE = Path("/var/tmp")
"""On disk, not on a tmpfs: a node's images and volumes take a gigabyte."""

_STARTUP_SECONDS = 30.0
_LINES_OF_A_LOG = 30


class CommandFailed(RuntimeError):
    """A command inside failed; the message ends with what it said."""


@dataclass(frozen=True, slots=True)
class Isolation:
    """Running namespaces: `pid` is their first process as seen from outside, `folder` goes with them."""

    folder: Path
    pid: int

    def command(self, argv: Sequence[str], *, network: bool = True) -> list[str]:
        """The command that runs `argv` inside: in all namespaces, and in the cgroups, as nsenter does not.

        Without `network` it keeps the machine's own, for what has to reach package registries.
        """
        joins = " ".join(f"echo $$ > {path}/cgroup.procs;" for path in cgroup_paths(self.folder))
        assignments = [f"{key}={value}" for key, value in self.environment().items()]
        enter = [
            "nsenter",
            "-t",
            str(self.pid),
            "-m",
            *(["-n"] if network else []),
            "-p",
            "-C",
            "-i",
            "-u",
            "--wd=/",
        ]
        return ["sh", "-c", f'{joins} exec "$@"', "sh", *enter, "env", *assignments, *argv]

    def network_command(self, argv: Sequence[str]) -> list[str]:
        """The command that runs `argv` with the namespaces' network and everything else as outside."""
        return ["nsenter", "-t", str(self.pid), "-n", *argv]

    def environment(self) -> dict[str, str]:
        """What podman, buildah and kind need to find their configuration."""
        return {
            "CONTAINERS_CONF": f"{self.folder}/containers.conf",
            "CONTAINERS_STORAGE_CONF": f"{self.folder}/storage.conf",
            "KIND_EXPERIMENTAL_PROVIDER": "podman",
            "KUBECONFIG": f"{self.folder}/kubeconfig",
            "HOME": str(self.folder),
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        }

    def run(self, argv: Sequence[str], *, log: Path | None = None, network: bool = True) -> str:
        """Run a command inside and return what it wrote.

        Raises:
            CommandFailed: if it ends with anything but 0.
        """
        done = subprocess.run(
            self.command(argv, network=network),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        said = done.stdout.decode(errors="replace")
        if log is not None:
            log.write_text(said)
        if done.returncode != 0:
            tail = "\n".join(said.splitlines()[-_LINES_OF_A_LOG:])
            raise CommandFailed(f"{' '.join(argv[:3])} … ended with {done.returncode}:\n{tail}")
        return said


@contextmanager
def isolated(report: Report) -> Iterator[Isolation]:
    """Start the namespaces; on leaving, everything in them ends and nothing stays.

    Raises:
        CannotRunHere: if this is not root on Linux with cgroup v1.
    """
    check_machine()
    sweep(report)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_BASE))
    # A session of its own: a Ctrl-C must not kill the one that cleans up.
    guardian = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("guardian.py")), str(folder)],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    assert guardian.stdin is not None
    try:
        with step(report, "Starting namespaces"):
            _await(folder, guardian)
        _configure(folder)
        yield Isolation(folder, int((folder / "pid").read_text()))
    finally:
        guardian.stdin.close()
        with step(report, "Removing every trace of the cluster"):
            guardian.wait()


def sweep(report: Report) -> None:
    """Remove the folders of clusters whose guardian was killed too; their processes died with it."""
    for folder in _BASE.glob(f"{_PREFIX}*"):
        try:
            with (folder / "lock").open("r+") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        except FileNotFoundError:
            if _is_new(folder):
                continue
        report(f"Removing what an earlier run left: {folder}")
        for path in cgroup_paths(folder):
            for leaf, _, _ in os.walk(path, topdown=False):
                os.rmdir(leaf)
        shutil.rmtree(folder, ignore_errors=True)


def _is_new(folder: Path) -> bool:
    """Whether its guardian may not have come to locking it yet. A folder that has just gone is nobody's business."""
    try:
        return time.time() - folder.stat().st_mtime < _STARTUP_SECONDS
    except FileNotFoundError:
        return True


def check_machine() -> None:
    """Raise CannotRunHere unless this is root on Linux with cgroup v1."""
    if not sys.platform.startswith("linux"):
        raise CannotRunHere("a kind cluster without Docker needs Linux; install Docker, or set KUBECONFIG")
    if os.geteuid() != 0:
        raise CannotRunHere("a kind cluster without Docker needs root; install Docker, or set KUBECONFIG")
    if not Path("/sys/fs/cgroup/memory").is_dir():
        raise CannotRunHere(
            "a kind cluster without Docker needs cgroup v1, and this machine has cgroup v2 alone; "
            "install Docker, or set KUBECONFIG"
        )


def _await(folder: Path, guardian: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _STARTUP_SECONDS
    while not ((folder / "ready").exists() and (folder / "pid").exists()):
        if guardian.poll() is not None or time.monotonic() > deadline:
            log = folder / "inside.log"
            said = log.read_text() if log.exists() else "it left no log"
            raise CannotRunHere(f"the cluster's namespaces could not be started: {said}")
        time.sleep(0.02)


def _configure(folder: Path) -> None:
    """podman's configuration: everything below the cluster's folder."""
    nofile, nproc = (_hard_limit(name) for name in ("Max open files", "Max processes"))
    (folder / "containers.conf").write_text(
        f"""
[containers]
default_ulimits = ["nofile={nofile}:{nofile}", "nproc={nproc}:{nproc}"]
pids_limit = 0
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
tmp_dir = "/run/libpod"
volume_path = "{folder}/volumes"
helper_binaries_dir = ["{folder}/helpers", "/usr/lib/podman", "/usr/libexec/podman"]
[network]
network_backend = "cni"
network_config_dir = "{folder}/networks"
"""
    )
    configure_storage(folder, [])


def configure_storage(folder: Path, stores: Sequence[Path]) -> None:
    """Where containers and images lie; `stores` are image stores that are only read."""
    listed = ", ".join(f'"{store}"' for store in stores)
    (folder / "storage.conf").write_text(
        f"""
[storage]
driver = "overlay"
graphroot = "{folder}/storage"
runroot = "/run/containers/storage"
[storage.options]
additionalimagestores = [{listed}]
"""
    )


def use_netavark(folder: Path, binaries: Path) -> None:
    """Switch to the network backend that resolves names between nodes."""
    config = folder / "containers.conf"
    (folder / "helpers").mkdir(exist_ok=True)
    for name in ("netavark", "aardvark-dns"):
        shutil.copy(binaries / name, folder / "helpers" / name)
    config.write_text(config.read_text().replace('network_backend = "cni"', 'network_backend = "netavark"'))


def _hard_limit(name: str) -> str:
    for line in Path("/proc/self/limits").read_text().splitlines():
        if line.startswith(name):
            return line[len(name) :].split()[1]
    raise KeyError(name)
