"""Fetching a source for a job: the bytes behind a URL, or one file of a Git repository."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from pathlib import Path
from typing import assert_never

import msgspec
from aiohttp.abc import AbstractResolver
from yarl import URL

from messages.unreadable import UNREADABLE
from messages.validation import FetchRequest, FetchResponse, GitReference
from messages.version import VERSION
from sandbox import Exited, MemoryExceeded, OutputExceeded, SandboxPolicy, Signaled, TimedOut, Zygote
from validation_image.faults import Fault, forbidden, unavailable
from validation_image.settings import Settings
from validation_image.tasks import (
    REFERENCES,
    UPLOAD_PACK,
    Checkout,
    File,
    HttpAnswer,
    HttpQuestion,
    NoFile,
    encode,
)
from validation_image.web import Web, read_url

_GIT_REQUESTS = 8
"""References, their list in protocol 2, the pack; twice as many for detours."""

_GIT_REQUEST_BYTES = 64 << 10
_GIT_AGENT = f"git/qiskit-operator/{VERSION}"
"""Some hosts speak Git only to what calls itself git."""

_CHECKOUT_MEMORY_BYTES = 256 << 20
_ENVELOPE_BYTES = 4096
"""What a message adds to the file that it carries."""


class Sources:
    """Fetches; one for the service. Raises nothing of a source's own making: that is in the response."""

    def __init__(self, settings: Settings, zygote: Zygote, resolver: AbstractResolver | None = None) -> None:
        self._settings = settings
        self._zygote = zygote
        self._resolver = resolver
        self._tls = _trust(settings.ca_file)

    async def fetch(self, request: FetchRequest) -> FetchResponse:
        """Fetch what `request` names; exactly one of its fields is set.

        Raises SandboxUnavailable and ZygoteFailed.
        """
        revision = None
        try:
            async with asyncio.timeout(self._settings.fetch_seconds):
                if request.url is not None:
                    page = await self._web("spec.circuit.url").get(
                        read_url(request.url), limit=self._settings.source_bytes
                    )
                    content = page.content
                else:
                    assert request.git is not None
                    content, revision = await self._check_out(request.git)
        except Fault as fault:
            return fault.response()
        except TimeoutError:
            return unavailable(f"fetching took longer than {self._settings.fetch_seconds:g} s").response()
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        return FetchResponse(content=content, hash=digest, revision=revision)

    def _web(self, field: str) -> Web:
        return Web(field, self._settings.allow, self._tls, self._resolver)

    async def _check_out(self, reference: GitReference) -> tuple[bytes, str]:
        settings = self._settings
        repository = read_url(reference.repository)
        if repository.query_string or repository.fragment:
            raise forbidden("the URL of a repository ends with its path")
        service = _GitService(
            self._web("spec.circuit.gitRef.repository"), repository, settings.repository_bytes
        )
        outcome = await self._zygote.run(
            encode(Checkout(reference, settings.source_bytes)),
            SandboxPolicy(
                memory_bytes=_CHECKOUT_MEMORY_BYTES,
                cpu_seconds=max(1, int(settings.fetch_seconds)),
                relax=settings.sandbox_relax,
                setting="VALIDATION_SANDBOX_RELAX",
            ),
            wall_seconds=settings.fetch_seconds,
            message_bytes=settings.source_bytes + _GIT_REQUESTS * _GIT_REQUEST_BYTES + _ENVELOPE_BYTES,
            answer=service.answer,
        )
        if service.fault is not None:
            raise service.fault
        where = reference.repository
        match outcome.end:
            case MemoryExceeded():
                raise forbidden(f"{where}: one commit of it is too large to unpack")
            case TimedOut():
                raise unavailable(f"{where}: unpacking took longer than {settings.fetch_seconds:g} s")
            case Exited() | Signaled() | OutputExceeded():
                pass
            case _:
                assert_never(outcome.end)
        try:
            found = msgspec.msgpack.decode(outcome.messages[-1], type=File | NoFile)
        except (IndexError, *UNREADABLE):
            raise unavailable(f"{where}: what its server sends makes no sense") from None
        if isinstance(found, NoFile):
            raise Fault(found.reason, found.message, retryable=found.retryable)
        return found.content, found.commit


class _GitService:
    """Makes a child's requests to one Git service, and to nothing else."""

    def __init__(self, web: Web, repository: URL, limit: int) -> None:
        self._web = web
        self._left = limit
        self._requests_left = _GIT_REQUESTS
        self._services = {f"{str(repository).rstrip('/')}/"}
        self.fault: Fault | None = None
        """Why a request was not answered; the child has stopped for it."""

    async def answer(self, question: bytes) -> bytes:
        """Make one request. After a fault the answer is empty, at which the child ends."""
        try:
            return encode(await self._request(msgspec.msgpack.decode(question, type=HttpQuestion)))
        except Fault as fault:
            self.fault = self.fault or fault
        except UNREADABLE:
            self.fault = self.fault or unavailable("the child that unpacks has asked nonsense")
        return b""

    async def _request(self, question: HttpQuestion) -> HttpAnswer:
        self._requests_left -= 1
        if self._requests_left < 0 or len(question.body or b"") > _GIT_REQUEST_BYTES:
            raise unavailable("the repository needs more requests than a fetch may make")
        if question.service_url not in self._services:
            raise forbidden("a fetch asks no other service than that of its repository")
        headers = {"User-Agent": _GIT_AGENT}
        if question.git_protocol == "version=2":
            headers["Git-Protocol"] = "version=2"
        if question.body is None:
            url = URL(question.service_url + REFERENCES)
            page = await self._web.get(url, limit=self._left, headers=headers)
            # A service may live elsewhere than its URL says; the child goes on there.
            self._services.add(str(page.url).removesuffix(REFERENCES))
        else:
            kind = f"application/x-{UPLOAD_PACK}-"
            headers |= {"Content-Type": f"{kind}request", "Accept": f"{kind}result"}
            url = URL(question.service_url + UPLOAD_PACK)
            page = await self._web.post(url, question.body, limit=self._left, headers=headers)
        self._left -= len(page.content)
        return HttpAnswer("" if page.url == url else str(page.url), page.content_type, page.content)


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context
