"""A real Kubernetes control plane as child processes: ready in seconds, gone without a trace."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import ssl
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from localcluster import components
from localcluster.binaries import ensure_binaries
from localcluster.certificates import Authority
from localcluster.components import Layout
from localcluster.keeping import Child, Keeper
from localcluster.kubeconfig import write_kubeconfig
from localcluster.platform import folder_in_memory, require_linux
from localcluster.ports import LOOPBACK, ReservedPort
from localcluster.progress import Report, silent
from localcluster.versions import CONTROL_PLANE, Binary

START_SECONDS = 120.0
"""How long a start may take before it counts as failed; an idle machine needs three or four."""

_IMPATIENT = ("kube-controller-manager", "kube-scheduler")
_RELAUNCHES = 5
"""The controller-manager ends if its rights are not there within 10 s, as on a busy machine they may not be;
kubelet would start it again. How often each of these is, in one wait for readiness."""

_POLL_SECONDS = 0.02
_LINES_OF_A_LOG = 25


class StartFailed(RuntimeError):
    """A component ended or was not ready in time; the message ends with the tail of its log."""


@dataclass
class ControlPlane:
    """A running control plane. Made by `ControlPlane.start`."""

    server: str
    """https URL of the API server."""
    layout: Layout
    binaries: Mapping[str, Path]
    """The programs by name, kubectl among them."""
    authority: Authority
    """The cluster's certificate authority."""
    audit_log: Path | None
    _keeper: Keeper
    _commands: dict[str, list[str]]
    _children: dict[str, Child]

    @classmethod
    @asynccontextmanager
    async def start(
        cls,
        directory: Path | None = None,
        *,
        audit_log: bool = False,
        api_only: bool = False,
        apiserver_flags: Mapping[str, str] | None = None,
        report: Report = silent,
    ) -> AsyncIterator[ControlPlane]:
        """Start a control plane of its own, and end it with the block or with this process.

        `directory` takes kubeconfig, credentials and logs, of which only `logs/` outlives the cluster.
        Without one a temporary folder is used and nothing stays. `audit_log` writes one JSON line for every
        request (level Metadata). `api_only` starts just etcd and kube-apiserver: no garbage collection, no
        scheduling, no service accounts (pods are admitted without one). `apiserver_flags` adds or overrides
        flags by name, without dashes.
        Raises `StartFailed`, `Unsupported`, `BuildFailed`, `NoToolchain` or `CacheUnusable`.
        """
        require_linux()
        binaries = await asyncio.to_thread(ensure_binaries, _needed(api_only), report)
        port = ReservedPort()
        layout, remove = _make_folders(directory)
        try:
            async with Keeper.start(remove) as keeper:
                server = f"https://{LOOPBACK}:{port.number}"
                authority = Authority(f"qiskit-local-{secrets.token_hex(4)}")
                components.write_credentials(layout, authority, server)
                audit = layout.logs / "audit.log" if audit_log else None
                commands = {
                    "etcd": components.etcd(binaries["etcd"], layout),
                    "kube-apiserver": components.kube_apiserver(
                        binaries["kube-apiserver"],
                        layout,
                        port.number,
                        audit_log=audit,
                        service_accounts=not api_only,
                        extra=apiserver_flags or {},
                    ),
                }
                if not api_only:
                    manager, scheduler = "kube-controller-manager", "kube-scheduler"
                    commands[manager] = components.kube_controller_manager(binaries[manager], layout)
                    commands[scheduler] = components.kube_scheduler(binaries[scheduler], layout)
                plane = cls(server, layout, binaries, authority, audit, keeper, commands, {})
                for name in commands:
                    await plane._launch(name)
                await plane.wait_ready()
                yield plane
        finally:
            port.release()

    @property
    def directory(self) -> Path:
        """The cluster's folder."""
        return self.layout.directory

    @property
    def kubeconfig(self) -> Path:
        """Kubeconfig of an administrator, certificates inside."""
        return self.layout.admin_kubeconfig

    def kubeconfig_for(self, user: str, groups: Iterable[str] = ()) -> Path:
        """A kubeconfig for any user in any groups, with a fresh client certificate."""
        path = self.layout.private / f"user-{secrets.token_hex(4)}.kubeconfig"
        return write_kubeconfig(
            path, self.server, self.authority.certificate, self.authority.client(user, groups)
        )

    @property
    def components(self) -> tuple[str, ...]:
        """Names of the running components."""
        return tuple(self._children)

    def log(self, component: str) -> Path:
        """The log of a component (`etcd`, `kube-apiserver`, ...)."""
        return self.layout.logs / f"{component}.log"

    def pid(self, component: str) -> int:
        """Process id of a component."""
        return self._children[component].pid

    def signal(self, component: str, number: int) -> None:
        """Send a signal to a component: SIGSTOP and SIGCONT make an API server hang, for instance."""
        self._children[component].signal(number)

    async def kill(self, component: str) -> None:
        """End a component by SIGKILL, as a crash would. `restart` brings it back."""
        await self._children[component].kill()

    async def restart(self, component: str) -> None:
        """Kill a component if it runs, start it anew with the same port and data, and wait for readiness."""
        await self.kill(component)
        await self._launch(component)
        await self.wait_ready()

    async def wait_ready(self, seconds: float = START_SECONDS) -> None:
        """Wait until the API server is ready and, with a controller-manager, pods can be created."""
        try:
            async with asyncio.timeout(seconds):
                async with self.session() as session:
                    await self._poll(session, "/readyz")
                    if "kube-controller-manager" in self._children:
                        await self._poll(session, "/api/v1/namespaces/default/serviceaccounts/default")
        except TimeoutError:
            raise StartFailed(
                f"The control plane was not ready after {seconds:.0f} s.\n"
                + "\n".join(self._tail(name) for name in self._children)
            ) from None

    async def _launch(self, component: str) -> None:
        self._children[component] = await self._keeper.run(
            self._commands[component],
            log=self.log(component),
            cwd=self.layout.private,
            # No proxy settings or the like: all of the traffic is on this machine.
            env={"PATH": os.defpath, "HOME": str(self.layout.private)},
        )

    def session(self) -> aiohttp.ClientSession:
        """An HTTP session with an administrator's rights, its paths relative to `server`."""
        context = ssl.create_default_context(cadata=self.authority.certificate.decode())
        identity = self.layout.private / "kubelet-client"
        context.load_cert_chain(identity.with_suffix(".crt"), identity.with_suffix(".key"))
        return aiohttp.ClientSession(self.server, connector=aiohttp.TCPConnector(ssl=context))

    async def _poll(self, session: aiohttp.ClientSession, path: str) -> None:
        launched: Counter[str] = Counter()
        while True:
            for name, child in list(self._children.items()):
                if child.running:
                    continue
                launched[name] += 1
                if name not in _IMPATIENT or launched[name] > _RELAUNCHES:
                    raise StartFailed(f"{name} ended with {await child.wait()}.\n{self._tail(name)}")
                await self._launch(name)
            try:
                async with session.get(path) as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(_POLL_SECONDS)

    def _tail(self, component: str) -> str:
        path = self.log(component)
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        return "\n".join([f"--- the end of {path}", *lines[-_LINES_OF_A_LOG:]])


def _needed(api_only: bool) -> list[Binary]:
    return [
        binary
        for binary in CONTROL_PLANE
        if not (api_only and binary.name in ("kube-controller-manager", "kube-scheduler"))
    ]


def _make_folders(directory: Path | None) -> tuple[Layout, list[Path]]:
    """The layout with its folders made, and what has to be removed at the end."""
    memory = folder_in_memory()
    own = directory is None
    directory = Path(tempfile.mkdtemp(prefix="qiskit-local-")) if directory is None else directory.resolve()
    data = Path(tempfile.mkdtemp(prefix="qiskit-local-etcd-", dir=memory)) if memory else directory / "etcd"
    layout = Layout(directory, data)
    layout.logs.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(layout.private, ignore_errors=True)
    layout.private.mkdir(mode=0o700)
    return layout, [directory, data] if own else [layout.private, data, layout.admin_kubeconfig]
