"""The part of a kubelet's API behind `kubectl logs`, over TLS, for the API server alone."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from localcluster.node.container import Container
from localcluster.node.pod import PodLife
from localcluster.ports import LOOPBACK

API_SERVER = "kube-apiserver-kubelet-client"
"""The common name of the one client that may ask: the CA signs certificates for others, too."""

_POLL_SECONDS = 0.05
_CHUNK = 1 << 16

Find = Callable[[str, str], PodLife | None]
"""The pod of a namespace and name, if it is or was on this node."""


@asynccontextmanager
async def serve_logs(find: Find, authority: Path, certificate: Path, key: Path) -> AsyncIterator[int]:
    """Serve on a port of the kernel's choice, which is what this gives."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(authority))
    context.load_cert_chain(certificate, key)
    context.verify_mode = ssl.CERT_REQUIRED
    application = web.Application(middlewares=[_only_the_api_server])
    handler = _Logs(find)
    application.router.add_get("/containerLogs/{namespace}/{pod}/{container}", handler.get)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, LOOPBACK, 0, ssl_context=context)
        await site.start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


@web.middleware
async def _only_the_api_server(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    certificate = request.transport and request.transport.get_extra_info("peercert")
    names = [value for part in (certificate or {}).get("subject", ()) for _, value in part]
    if API_SERVER not in names:
        raise web.HTTPForbidden(text="only the API server may ask a node")
    return await handler(request)


class _Logs:
    def __init__(self, find: Find) -> None:
        self._find = find

    async def get(self, request: web.Request) -> web.StreamResponse:
        """`kubectl logs`, with --tail, --limit-bytes, --follow and --previous."""
        container = self._container(request)
        query = request.query
        if query.get("timestamps") == "true" or "sinceSeconds" in query or "sinceTime" in query:
            raise web.HTTPNotImplemented(text="the local node keeps no times of log lines")
        previous = query.get("previous") == "true"
        run = container.runs - (2 if previous else 1)
        if run < 0 or not container.log(run).exists():
            which = "previous terminated container" if previous else "container"
            raise web.HTTPBadRequest(text=f'{which} "{container.name}" in pod has not started')
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        await response.prepare(request)
        left = int(query["limitBytes"]) if "limitBytes" in query else None
        tail = int(query["tailLines"]) if "tailLines" in query else None
        follow = query.get("follow") == "true" and not previous
        async for chunk in _read(container, run, tail, follow=follow):
            if left is not None:
                chunk = chunk[:left]
                left -= len(chunk)
            await response.write(chunk)
            if left == 0:
                break
        await response.write_eof()
        return response

    def _container(self, request: web.Request) -> Container:
        wanted = request.match_info
        life = self._find(wanted["namespace"], wanted["pod"])
        every = [] if life is None else [*life.main, *life.init]
        for container in every:
            if container.name == wanted["container"]:
                return container
        raise web.HTTPNotFound(text=f"no container {wanted['container']!r} of such a pod on this node")


async def _read(container: Container, run: int, tail: int | None, *, follow: bool) -> AsyncIterator[bytes]:
    path = container.log(run)
    with path.open("rb") as file:
        if tail is not None:
            file.seek(_start_of_last_lines(path, tail))
        while True:
            # Looked at before reading: what is written until the end is read after it.
            ended = container.runs - 1 != run or container.process is None
            while chunk := file.read(_CHUNK):
                yield chunk
            if ended or not follow:
                return
            await asyncio.sleep(_POLL_SECONDS)


def _start_of_last_lines(path: Path, lines: int) -> int:
    content = path.read_bytes()
    position = len(content)
    if content.endswith(b"\n"):
        position -= 1
    for _ in range(lines):
        position = content.rfind(b"\n", 0, max(position, 0))
        if position < 0:
            return 0
    return position + 1 if lines else len(content)
