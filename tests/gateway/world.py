"""A running gateway on the real API server, and what tests do around it: jobs, pods, real tokens, calls."""

from __future__ import annotations

import asyncio
import hashlib
import io
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from api.names import LABEL_ATTEMPT, LABEL_JOB_UID, LABEL_MANAGED_BY, LABEL_ROLE, MANAGED_BY, ROLE_WARM
from api.views import QiskitBackend, QiskitJob
from gateway import Gateway
from gateway.orders import OrderSettings
from informers.informer import Informer
from kube import (
    PODS,
    QISKIT_BACKENDS,
    QISKIT_JOBS,
    SERVICE_ACCOUNTS,
    Client,
    Pod,
)
from messages.work import TOKEN_AUDIENCE, HandIn
from tests.gateway.test_output import a_summary

CODE = "from qiskit import QuantumCircuit\nqc = QuantumCircuit(1)\nqc.measure_all()\n"
DIGEST = f"sha256:{hashlib.sha256(CODE.encode()).hexdigest()}"
DOCUMENT = b'{"schema":"quantum.io/result/v1"}'
SETTINGS = OrderSettings("0.1.0", 3600.0)


@dataclass
class Answer:
    status: int
    body: bytes

    def read(self, kind: type[Any]) -> Any:
        return msgspec.json.decode(self.body, type=kind)


@dataclass
class World:
    """A running gateway, and what a test does around it."""

    client: Client
    namespace: str
    gateway: Gateway

    async def job(
        self, name: str, output: dict[str, Any] | None = None, backend: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        spec = {
            "backend": {"type": "local_simulator", **(backend or {})},
            "circuit": {"source": "inline", "code": CODE},
            "output": output or {},
        }
        body = {"apiVersion": "quantum.io/v1", "kind": "QiskitJob", "metadata": {"name": name}, "spec": spec}
        return await self.client.create(QISKIT_JOBS, body, self.namespace)

    async def status(self, name: str, **status: Any) -> None:
        await self.client.merge_patch(
            QISKIT_JOBS, name, {"status": status}, self.namespace, subresource="status"
        )

    async def pod(
        self,
        job: dict[str, Any],
        attempt: int = 1,
        suffix: str = "",
        before: Sequence[dict[str, Any]] = (),
    ) -> dict[str, Any]:
        """A job's pod; `before` are containers that an admission webhook has put in first."""
        metadata = job["metadata"]
        labels = {LABEL_JOB_UID: metadata["uid"], LABEL_ATTEMPT: str(attempt)}
        owner = {"apiVersion": "quantum.io/v1", "kind": "QiskitJob", "controller": True}
        owner |= {"name": metadata["name"], "uid": metadata["uid"]}
        return await self._pod(f"{metadata['name']}-{attempt}{suffix}", labels, [owner], before)

    async def warm_pod(self, name: str) -> dict[str, Any]:
        """A pod of a pool that nobody has claimed."""
        return await self._pod(name, {LABEL_ROLE: ROLE_WARM}, [])

    async def _pod(
        self,
        name: str,
        labels: dict[str, str],
        owners: list[dict[str, Any]],
        before: Sequence[dict[str, Any]] = (),
    ) -> dict[str, Any]:
        container = {
            "name": "executor",
            "image": "executor:1",
            "resources": {"limits": {"memory": "256Mi", "cpu": "1"}},
        }
        body = {
            "metadata": {
                "name": name,
                "labels": {LABEL_MANAGED_BY: MANAGED_BY, **labels},
                "ownerReferences": owners,
            },
            "spec": {"containers": [*before, container]},
        }
        return await self.client.create(PODS, body, self.namespace)

    async def token(self, pod: dict[str, Any], audience: str = TOKEN_AUDIENCE) -> str:
        bound = {
            "kind": "Pod",
            "apiVersion": "v1",
            "name": pod["metadata"]["name"],
            "uid": pod["metadata"]["uid"],
        }
        spec = {"audiences": [audience], "expirationSeconds": 600, "boundObjectRef": bound}
        path = SERVICE_ACCOUNTS.path(self.namespace, "default", "token")
        answer = await self.client.raw("POST", path, body=msgspec.json.encode({"spec": spec}))
        return str(msgspec.json.decode(answer)["status"]["token"])

    async def call(
        self, method: str, path: str, token: str, body: msgspec.Struct | bytes | None = None
    ) -> Answer:
        content = body if isinstance(body, bytes) else msgspec.json.encode(body)
        context = ssl.create_default_context(cadata=self.gateway.bundle_pem)
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                method,
                f"https://127.0.0.1:{self.gateway.port}{path}",
                data=None if body is None else io.BytesIO(content),
                headers={"Authorization": f"Bearer {token}"},
                ssl=context,
                server_hostname="qiskit-operator-gateway",
            ) as response,
        ):
            return Answer(response.status, await response.read())

    @asynccontextmanager
    async def unfinished(
        self, token: str
    ) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A connection on which a hand-in has begun whose body does not come."""
        context = ssl.create_default_context(cadata=self.gateway.bundle_pem)
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.gateway.port, ssl=context, server_hostname="qiskit-operator-gateway"
        )
        head = "POST /v1/result HTTP/1.1\r\nHost: gateway\r\nContent-Length: 1000000\r\n"
        writer.write(f"{head}Authorization: Bearer {token}\r\n\r\n{{".encode())
        await writer.drain()
        try:
            yield reader, writer
        finally:
            writer.transport.abort()

    async def running(self, name: str, **spec: Any) -> tuple[dict[str, Any], dict[str, Any], str]:
        """A job whose executor is recorded, its pod, and the pod's token."""
        job = await self.job(name, **spec)
        pod = await self.pod(job)
        await self.status(
            name, phase="Running", attempt=1, jobId=pod["metadata"]["uid"], source={"hash": DIGEST}
        )
        return job, pod, await self.token(pod)

    def hand_in(self, job: dict[str, Any], attempt: int = 1, document: bytes = DOCUMENT) -> HandIn:
        digest = f"sha256:{hashlib.sha256(document).hexdigest()}"
        return HandIn(
            job_uid=job["metadata"]["uid"],
            attempt=attempt,
            digest=digest,
            document=document,
            summary=a_summary(),
        )


@asynccontextmanager
async def following(client: Client, namespace: str) -> AsyncIterator[tuple[Any, Any, Any]]:
    jobs = Informer(client, QISKIT_JOBS, QiskitJob, namespace=namespace)
    backends = Informer(client, QISKIT_BACKENDS, QiskitBackend, namespace=namespace)
    pods = Informer(client, PODS, Pod, namespace=namespace)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(informer.run()) for informer in (jobs, backends, pods)]
        for informer in (jobs, backends, pods):
            await informer.wait_synced()
        try:
            yield jobs, backends, pods
        finally:
            for task in running:
                task.cancel()
