"""Starts a node as a process of its own, beside a control plane."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from kube import Client, load_configuration
from localcluster.controlplane import ControlPlane, StartFailed
from localcluster.keeping import Child, Keeper
from localcluster.node.credentials import Credentials, issue
from localcluster.node.registration import wait_schedulable
from localcluster.node.settings import NodeSettings

SETTINGS = "settings.json"
PRIVATE = "private"
READY = "ready"

_START_SECONDS = 120.0
_STOP_SECONDS = 10.0
_POLL_SECONDS = 0.02
_LINES_OF_A_LOG = 25


@dataclass(frozen=True)
class LocalNode:
    """A running node. Made by `LocalNode.start`."""

    name: str
    log: Path
    shortcoming: str | None
    """What pods here lack that containers would have; None if nothing can be done better on this machine."""
    child: Child

    @classmethod
    @asynccontextmanager
    async def start(
        cls, plane: ControlPlane, settings: NodeSettings | None = None
    ) -> AsyncIterator[LocalNode]:
        """A node of this control plane, ready to be scheduled to. Its pods end with it or with this process.

        Raises `StartFailed` with the end of the node's log.
        """
        settings = settings or NodeSettings()
        directory = plane.directory / f"node-{settings.name}"
        directory.mkdir(parents=True, exist_ok=True)
        # Pods pass through it under their own users; nobody else can find out what is in it.
        directory.chmod(0o711)
        credentials = issue(plane, settings.name, directory / PRIVATE)
        (directory / SETTINGS).write_bytes(msgspec.json.encode(settings))
        log = plane.layout.logs / f"node-{settings.name}.log"
        async with Keeper.start([directory]) as keeper:
            child = await keeper.run(
                [sys.executable, "-m", "localcluster.node", str(directory)],
                log=log,
                cwd=Path(__file__).parents[2],
            )
            try:
                await _until_ready(child, directory / READY, log)
                if "kube-scheduler" in plane.components:
                    await _until_schedulable(credentials, settings.name)
                yield cls(settings.name, log, (directory / READY).read_text() or None, child)
            finally:
                child.signal(signal.SIGTERM)
                await asyncio.wait({asyncio.ensure_future(child.wait())}, timeout=_STOP_SECONDS)


async def _until_ready(child: Child, ready: Path, log: Path) -> None:
    try:
        async with asyncio.timeout(_START_SECONDS):
            while not ready.exists():  # noqa: ASYNC240 - the file system is local
                if not child.running:
                    raise StartFailed(f"The local node ended with {await child.wait()}.\n{_tail(log)}")
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        raise StartFailed(f"The local node was not ready in time.\n{_tail(log)}") from None


async def _until_schedulable(credentials: Credentials, name: str) -> None:
    configuration = await load_configuration(str(credentials.node))
    async with Client(configuration, user_agent="qiskit-local") as client, asyncio.timeout(_START_SECONDS):
        await wait_schedulable(client, name)


def _tail(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return "\n".join([f"--- the end of {log}", *lines[-_LINES_OF_A_LOG:]])
