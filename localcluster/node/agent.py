"""The node itself: registers, follows the pods that are bound to it, and lives each one's life."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

from kube import NODES, ApiError, Client, load_configuration
from localcluster.keeping import Keeper
from localcluster.node.api import NodeApi
from localcluster.node.credentials import Credentials
from localcluster.node.downward import Pod
from localcluster.node.host import Host, probe
from localcluster.node.images import Images
from localcluster.node.launching import Launcher
from localcluster.node.logs import serve_logs
from localcluster.node.pod import PodLife
from localcluster.node.registration import keep_alive, machine_facts, register
from localcluster.node.settings import NodeSettings
from localcluster.node.storage import Provisioner
from localcluster.platform import require_linux
from localcluster.ports import LOOPBACK

_SECONDS_BETWEEN_TRIES = 0.2
_log = logging.getLogger(__name__)


class Agent:
    """A node that runs in this process. Made by `Agent.run`."""

    def __init__(self, launcher: Launcher, client: Client) -> None:
        self._launcher = launcher
        self._client = client
        self._lives: dict[str, PodLife] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._synced = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def run(
        cls, credentials: Credentials, directory: Path, settings: NodeSettings
    ) -> AsyncIterator[Agent]:
        """A node with these credentials, registered and in sync with the API when this is entered.

        `directory` is removed at the end. Raises `Unsupported`.
        """
        require_linux()
        configuration = await load_configuration(str(credentials.node))
        provisioning = await load_configuration(str(credentials.provisioner))
        async with (
            Keeper.start([directory]) as keeper,
            Client(configuration, user_agent="qiskit-local-node") as client,
            Client(provisioning, user_agent="qiskit-local-provisioner") as administrator,
        ):
            (directory / "pods").mkdir(mode=0o711, exist_ok=True)
            host = await probe(keeper, directory, shed_root=settings.shed_root)
            facts = machine_facts(settings.name, LOOPBACK)
            api = NodeApi(client, settings.name)
            launcher = Launcher(
                facts, settings, api, keeper, host, Images(settings.images), configuration.server
            )
            node = cls(launcher, client)
            provisioner = Provisioner(administrator, directory / "claims")
            files = (credentials.authority, credentials.certificate, credentials.key)
            async with serve_logs(node.find, *files) as port:
                await register(client, facts, settings.pods, port)
                await provisioner.install()
                serving = asyncio.create_task(node._serve(provisioner), name=f"node {settings.name}")
                try:
                    await node._until_synced(serving)
                    yield node
                finally:
                    serving.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await serving
                    # Nothing may be scheduled here any more; a node has no right to remove itself.
                    with contextlib.suppress(ApiError):
                        await administrator.delete(NODES, settings.name)

    @property
    def host(self) -> Host:
        """How far pods are separated on this machine."""
        return self._launcher.host

    def find(self, namespace: str, name: str) -> PodLife | None:
        """The newest pod of that name that is or was here."""
        for life in reversed(self._lives.values()):
            if (life.namespace, life.name) == (namespace, name):
                return life
        return None

    async def _until_synced(self, serving: asyncio.Task[None]) -> None:
        synced = asyncio.create_task(self._synced.wait())
        await asyncio.wait({serving, synced}, return_when=asyncio.FIRST_COMPLETED)
        synced.cancel()
        if serving.done():
            serving.result()

    async def _serve(self, provisioner: Provisioner) -> None:
        settings = self._launcher.settings
        async with asyncio.TaskGroup() as group:
            group.create_task(keep_alive(self._client, settings.name, settings.lease_seconds))
            group.create_task(provisioner.run())
            await self._follow(group)

    async def _follow(self, group: asyncio.TaskGroup) -> None:
        while True:
            seen: set[str] = set()
            try:
                async with aclosing(self._launcher.api.watch_pods()) as events:
                    async for kind, pod in events:
                        if kind == "SYNCED":
                            for uid in self._lives.keys() - seen:
                                self._gone(uid)
                            self._synced.set()
                        elif kind == "DELETED":
                            self._gone(pod["metadata"]["uid"])
                        else:
                            seen.add(pod["metadata"]["uid"])
                            self._present(pod, group)
            except ApiError as error:
                _log.warning("The watch on pods was cut (%s); starting over.", error)
                await asyncio.sleep(_SECONDS_BETWEEN_TRIES)

    def _present(self, pod: Pod, group: asyncio.TaskGroup) -> None:
        uid = pod["metadata"]["uid"]
        if uid not in self._lives:
            if pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
                return
            life = self._lives[uid] = PodLife(pod, self._launcher)
            self._tasks[uid] = group.create_task(self._live(life), name=f"pod {life.namespace}/{life.name}")
        self._lives[uid].observe(pod)

    def _gone(self, uid: str) -> None:
        life = self._lives.get(uid)
        if life is None:
            return
        if uid in self._tasks:
            life.vanish()
        else:
            self._forget(uid)

    async def _live(self, life: PodLife) -> None:
        try:
            await life.run()
        except Exception:  # noqa: BLE001 - one pod's failure must not be the other pods' end
            _log.exception("The life of pod %s/%s broke off.", life.namespace, life.name)
        del self._tasks[life.uid]
        if life.vanished:
            self._forget(life.uid)

    def _forget(self, uid: str) -> None:
        self._lives.pop(uid).forget()
