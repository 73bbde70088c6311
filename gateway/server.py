"""The gateway's life in a process: trust first, then the listener, then certificates renewed until the end."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Generic, TypeVar

import structlog
from aiohttp import web

from api.seal import Seal
from api.views import QiskitBackend, QiskitJob
from gateway.authority import AuthorityStore, Trust
from gateway.certificates import LEAF_LIFETIME, Leaf, issue_leaf
from gateway.handlers import HAND_INS_AT_ONCE, Doorkeeper
from gateway.identity import TokenVerifier, assignment
from gateway.orders import OrderSettings
from gateway.waiting import Changes
from informers import KubernetesObject, Tombstone, last_state
from informers.informer import Informer
from kube import ApiError, Client, Pod

log = structlog.get_logger("gateway")

SERVER_NAME = "qiskit-operator-gateway"
"""The name in the certificate. Executors connect by address and check this name: they need no DNS."""

RENEW_CHECK = timedelta(hours=1)

T = TypeVar("T", bound=KubernetesObject)


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """Where to listen, and what to tell executors. Port 0 takes a free port."""

    namespace: str
    host: str
    port: int
    orders: OrderSettings


@dataclass(slots=True)
class Gateway:
    """Serves executors from `start` to `stop`; `run` keeps its certificates fresh in between.

    `now` and `sleep` are injected; `trust` and `port` are known once `start` has returned.
    """

    client: Client
    jobs: Informer[QiskitJob]
    backends: Informer[QiskitBackend]
    pods: Informer[Pod]
    settings: GatewaySettings
    clock: Callable[[], float]
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    _changes: Changes = field(default_factory=Changes)
    _closing: asyncio.Event = field(default_factory=asyncio.Event)
    _runner: web.AppRunner | None = None
    _port: int | None = None
    _tls: ssl.SSLContext | None = None
    _trust: Trust | None = None
    _leaf: Leaf | None = None

    @property
    def serving(self) -> bool:
        """Whether executors are being answered (a part of readiness)."""
        return self._runner is not None and not self._closing.is_set()

    @property
    def bundle_pem(self) -> str:
        """The authorities that an executor is to trust, as PEM text. Known once `start` has returned."""
        if self._trust is None:
            raise RuntimeError("the gateway has not been started")
        return self._trust.bundle_pem

    @property
    def seal(self) -> Seal:
        """The seal of this installation on results. Known once `start` has returned."""
        if self._trust is None:
            raise RuntimeError("the gateway has not been started")
        return self._trust.seal

    @property
    def port(self) -> int:
        """The port that is listened on."""
        if self._port is None:
            raise RuntimeError("the gateway has not been started")
        return self._port

    async def start(self) -> None:
        """Obtain the certificate authority and begin to listen.

        Raises:
            gateway.authority.BrokenAuthority: if the Secret with the authority cannot be read.
            kube.ApiError: if the API server cannot be asked for it.
            OSError: if the address is taken.
        """
        self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_3
        await self._renew()
        self.pods.add_handler(_Report(self._pod_changed))
        self.jobs.add_handler(_Report(self._job_changed))
        door = Doorkeeper(
            client=self.client,
            verifier=TokenVerifier(self.client, self.clock),
            jobs=self.jobs,
            backends=self.backends,
            pods=self.pods,
            changes=self._changes,
            seal=self.seal,
            orders=self.settings.orders,
            hand_ins=asyncio.Semaphore(HAND_INS_AT_ONCE),
            closing=self._closing,
            now=self.now,
        )
        runner = web.AppRunner(door.app(), access_log=None, shutdown_timeout=10.0)
        await runner.setup()
        await web.TCPSite(runner, self.settings.host, self.settings.port, ssl_context=self._tls).start()
        self._runner, self._port = runner, int(runner.addresses[0][1])
        log.info("gateway listening", host=self.settings.host, port=self.port)

    async def run(self) -> None:
        """Renew what is due, every hour, until cancelled. A failed renewal is logged and tried again."""
        while True:
            await self.sleep(RENEW_CHECK.total_seconds())
            try:
                await self._renew()
            except ApiError as error:
                log.warning("the gateway's certificates could not be checked", reason=error.reason)

    async def stop(self) -> None:
        """Let waiting executors go (they ask another replica), finish what is being stored, stop listening."""
        self._closing.set()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _renew(self) -> None:
        now = self.now()
        trust = await AuthorityStore(self.client, self.settings.namespace).obtain(now)
        fresh = self._leaf is not None and self._leaf.not_after - now > LEAF_LIFETIME / 3
        if fresh and self._trust is not None and self._trust.signer.pem == trust.signer.pem:
            self._trust = trust
            return
        leaf = issue_leaf(trust.signer, SERVER_NAME, now)
        assert self._tls is not None
        _load(self._tls, leaf)
        self._trust, self._leaf = trust, leaf
        log.info("gateway certificate issued", not_after=leaf.not_after.isoformat())

    def _pod_changed(self, pod: Pod) -> None:
        self._changes.report(pod.metadata.uid)
        claim = assignment(pod)
        if claim is not None:
            self._changes.report(claim.job_uid)

    def _job_changed(self, job: QiskitJob) -> None:
        self._changes.report(job.metadata.uid)


class _Report(Generic[T]):
    """An informer handler that passes every object on, whatever happened to it."""

    def __init__(self, report: Callable[[T], None]) -> None:
        self._report = report

    def on_add(self, obj: T, initial: bool) -> None:  # noqa: ARG002 - the protocol's signature
        self._report(obj)

    def on_update(self, old: T, new: T) -> None:  # noqa: ARG002 - the protocol's signature
        self._report(new)

    def on_delete(self, last: T | Tombstone[T]) -> None:
        self._report(last_state(last))


def _load(tls: ssl.SSLContext, leaf: Leaf) -> None:
    """Give a TLS context its certificate. ssl reads files only, so they exist for a moment, for us alone."""
    with tempfile.TemporaryDirectory(prefix="gateway-") as folder:
        certificate, key = Path(folder, "tls.crt"), Path(folder, "tls.key")
        certificate.write_text(leaf.certificate_pem)
        key.touch(mode=0o600)
        key.write_text(leaf.key_pem)
        tls.load_cert_chain(certificate, key)
