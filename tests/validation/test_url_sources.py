"""Sources behind a URL: what is fetched, what is refused, and that refusing happens before connecting."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult

from messages.validation import FetchRequest, FetchResponse
from sandbox import Zygote
from tests.validation.conftest import Authority, Post, make_authority
from validation_image.addresses import AddressRule
from validation_image.settings import Settings
from validation_image.sources import Sources

CODE = b"from qiskit import QuantumCircuit\n"


@dataclass
class Site:
    """An HTTPS server on loopback that does what a path says, and remembers what was asked."""

    port: int = 0
    asked: list[str] = field(default_factory=list)

    def url(self, path: str, host: str = "localhost") -> str:
        return f"https://{host}:{self.port}{path}"

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        match request.path.split("/")[1:]:
            case ["code.py"]:
                return web.Response(body=CODE)
            case ["status", code]:
                return web.Response(status=int(code))
            case ["large"]:
                return web.Response(body=b"x" * 2_000_000)
            case ["endless"]:
                response = web.StreamResponse()
                await response.prepare(request)
                while request.transport is not None and not request.transport.is_closing():
                    await response.write(b"x" * 65536)
                    await asyncio.sleep(0)
                return response
            case ["slow"]:
                await asyncio.Event().wait()
            case ["compressed"]:
                return web.Response(body=CODE, headers={"Content-Encoding": "gzip"})
            case ["again", count]:
                left = int(count)
                raise web.HTTPFound(f"/again/{left - 1}" if left else "/code.py")
            case ["to"]:
                raise web.HTTPFound(request.query["place"])
            case ["hangup"]:
                assert request.transport
                request.transport.abort()
        raise web.HTTPNotFound


async def serve(site: Site, authority: Authority, host: str = "127.0.0.1") -> AsyncIterator[Site]:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", site.handle)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, host, site.port, ssl_context=authority.server).start()
    site.port = runner.addresses[0][1]
    yield site
    await runner.cleanup()


@pytest.fixture
async def site(authority: Authority) -> AsyncIterator[Site]:
    async for served in serve(Site(), authority):
        yield served


async def test_a_source_comes_with_its_hash(post: Post, site: Site) -> None:
    said = await post("/fetch", url=site.url("/code.py"))
    assert base64.b64decode(said["content"]) == CODE
    assert said["hash"] == f"sha256:{hashlib.sha256(CODE).hexdigest()}"
    assert (said["reason"], said["revision"]) == (None, None)


async def test_redirects_are_followed_up_to_five(post: Post, site: Site) -> None:
    assert (await post("/fetch", url=site.url("/again/4")))["reason"] is None
    said = await post("/fetch", url=site.url("/again/5"))
    assert (said["reason"], said["retryable"]) == ("SourceForbidden", False)


ANSWERS = {
    "/status/404": ("SourceNotFound", True),
    "/status/410": ("SourceNotFound", True),
    "/status/401": ("SourceForbidden", False),
    "/status/403": ("SourceForbidden", False),
    "/status/429": ("ProviderUnavailable", True),
    "/status/500": ("ProviderUnavailable", True),
    "/status/503": ("ProviderUnavailable", True),
    "/large": ("SourceForbidden", False),
    "/endless": ("SourceForbidden", False),
    "/compressed": ("SourceForbidden", False),
    "/hangup": ("ProviderUnavailable", True),
}


@pytest.mark.parametrize("path", ANSWERS)
async def test_an_answer_without_a_source_has_a_reason(post: Post, site: Site, path: str) -> None:
    said = await post("/fetch", url=site.url(path))
    assert (said["reason"], said["retryable"]) == ANSWERS[path]
    assert said["content"] is None
    assert said["message"]


REFUSED = [
    "https://127.0.0.1:{port}/code.py",
    "https://127.1:{port}/code.py",
    "https://2130706433:{port}/code.py",
    "https://0x7f000001:{port}/code.py",
    "https://0177.0.0.1:{port}/code.py",
    "https://0.0.0.0:{port}/code.py",
    "https://[::1]:{port}/code.py",
    "https://[::]:{port}/code.py",
    "https://[::ffff:127.0.0.1]:{port}/code.py",
    "https://[::ffff:7f00:1]:{port}/code.py",
    "https://[::127.0.0.1]:{port}/code.py",
    "https://[64:ff9b::7f00:1]:{port}/code.py",
    "https://[2002:7f00:1::]:{port}/code.py",
    "https://[fd00::1]/code.py",
    "https://[fe80::1]/code.py",
    "https://169.254.169.254/latest/meta-data/",
    "https://10.0.0.1/",
    "https://172.16.0.1/",
    "https://192.168.0.1/",
    "https://100.64.0.1/",
    "https://224.0.0.1/",
    "https://255.255.255.255/",
    "https://localhost:secret@127.0.0.1:{port}/code.py",
    "https://user@localhost:{port}/code.py",
    "https://localhost:{port}@127.0.0.1:{port}/code.py",
    "https://localhost\\@127.0.0.1:{port}/code.py",
    "https://localhost:{port}\t/code.py",
    "https://[localhost:{port}/code.py",
    "https:///code.py",
    "https://../code.py",
    "https://a..localhost:{port}/code.py",
    "https://" + "x" * 64 + ".localhost:{port}/code.py",
    "http://localhost:{port}/code.py",
    "HTTP://localhost:{port}/code.py",
    "file:///etc/passwd",
    "ftp://localhost/code.py",
    "gopher://localhost/",
    "data:text/plain,x",
    "//localhost:{port}/code.py",
    "/etc/passwd",
    "",
    "https://localhost:{port}/" + "x" * 3000,
]


@pytest.mark.parametrize("url", REFUSED)
async def test_what_is_not_public_https_is_forbidden_and_not_asked(post: Post, site: Site, url: str) -> None:
    said = await post("/fetch", url=url.replace("{port}", str(site.port)))
    assert (said["reason"], said["retryable"]) == ("SourceForbidden", False)
    assert site.asked == []


async def test_an_address_that_is_not_public_is_named_once(post: Post) -> None:
    said = await post("/fetch", url="https://127.0.0.1/")
    assert (said["message"] or "").startswith("127.0.0.1 is not a public address; ")


@pytest.mark.parametrize(
    "place",
    [
        "https://127.0.0.1:{port}/code.py",
        "http://localhost:{port}/code.py",
        "file:///etc/passwd",
        "https://a@localhost/",
    ],
)
async def test_a_redirect_leads_nowhere_that_a_url_could_not(post: Post, site: Site, place: str) -> None:
    said = await post("/fetch", url=site.url("/to?place=" + place.replace("{port}", str(site.port))))
    assert said["reason"] == "SourceForbidden"
    assert site.asked == ["/to"]


async def test_a_message_does_not_repeat_a_query(post: Post, site: Site) -> None:
    said = await post("/fetch", url=site.url("/status/404?signature=key"))
    assert "key" not in said["message"]


async def test_a_host_whose_certificate_nobody_vouches_for_is_forbidden(post: Post, tmp_path: Path) -> None:
    async for site in serve(Site(), make_authority(tmp_path / "other")):
        said = await post("/fetch", url=site.url("/code.py"))
        assert said["reason"] == "SourceForbidden"
        assert "certificate" in said["message"]
        assert site.asked == []


async def test_nobody_at_home_is_worth_another_try(post: Post) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    said = await post("/fetch", url=f"https://localhost:{port}/")
    assert (said["reason"], said["retryable"]) == ("ProviderUnavailable", True)


@pytest.mark.parametrize(
    "body", [{}, {"url": "https://localhost/", "git": {"repository": "https://x/", "path": "x"}}]
)
async def test_a_request_names_exactly_one_source(post: Post, body: dict[str, object]) -> None:
    with pytest.raises(AssertionError, match="exactly one"):
        await post("/fetch", **body)


# --- names that change their mind: the service's own parts with a resolver of the tests -----------------

PUBLIC, PRIVATE = "127.0.0.1", "127.0.0.2"
"""Stand-ins: the one is allowed as public addresses are, the other is not."""


class Names(AbstractResolver):
    """Resolves a name to one answer after the other, and the last one for ever."""

    def __init__(self, **answers: list[list[str]]) -> None:
        self._answers = {f"{name}.example": list(lists) for name, lists in answers.items()}
        self.lookups: list[str] = []

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        self.lookups.append(host)
        if host not in self._answers:
            raise OSError(socket.EAI_NONAME, "no such host")
        answers = self._answers[host]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing is open."""


@dataclass
class World:
    """One server at a public address and one at a private, on the same port."""

    public: Site
    private: Site
    settings: Settings

    async def fetch(self, names: Names, url: str) -> FetchResponse:
        zygote = Zygote("nothing:nothing", "nothing:nothing", {}, 1.0)  # not started: no URL needs it
        return await Sources(self.settings, zygote, names).fetch(FetchRequest(url=url))


@pytest.fixture
async def world(authority: Authority) -> AsyncIterator[World]:
    async for public in serve(Site(), authority, PUBLIC):
        async for private in serve(Site(public.port), authority, PRIVATE):
            rule = AddressRule.read([f"{PUBLIC}/32"])
            yield World(public, private, Settings(allow=rule, ca_file=authority.file, fetch_seconds=20.0))


async def test_a_public_name_is_fetched_from(world: World) -> None:
    names = Names(public=[[PUBLIC]])
    assert (await world.fetch(names, world.public.url("/code.py", "public.example"))).content == CODE


async def test_a_name_with_a_private_address_is_forbidden(world: World) -> None:
    said = await world.fetch(Names(other=[[PRIVATE]]), world.public.url("/code.py", "other.example"))
    assert said.reason == "SourceForbidden"
    assert PRIVATE in (said.message or "")
    assert world.private.asked == []


async def test_a_host_that_there_is_not_is_named_with_its_field(world: World) -> None:
    said = await world.fetch(Names(), "https://githup.example/code.py")
    assert (said.reason, said.retryable) == ("SourceNotFound", True)
    assert said.message == "there is no host githup.example; correct its name in spec.circuit.url"


@pytest.mark.parametrize("addresses", [[PRIVATE, PUBLIC], [PUBLIC, PRIVATE]])
async def test_of_several_addresses_only_public_ones_are_tried(world: World, addresses: list[str]) -> None:
    names = Names(public=[addresses])
    assert (await world.fetch(names, world.public.url("/code.py", "public.example"))).content == CODE
    assert world.private.asked == []


async def test_a_name_that_turns_private_between_two_hops_is_forbidden(world: World) -> None:
    names = Names(public=[[PUBLIC], [PRIVATE]])
    said = await world.fetch(names, world.public.url("/to?place=/code.py", "public.example"))
    assert said.reason == "SourceForbidden"
    assert (world.public.asked, world.private.asked) == (["/to"], [])


async def test_the_address_that_was_checked_is_the_one_connected_to(world: World) -> None:
    names = Names(public=[[PUBLIC], [PRIVATE]])
    assert (await world.fetch(names, world.public.url("/code.py", "public.example"))).content == CODE
    assert names.lookups == ["public.example"]
    assert world.private.asked == []


async def test_a_redirect_to_a_private_name_is_forbidden(world: World) -> None:
    names = Names(public=[[PUBLIC]], other=[[PRIVATE]])
    there = world.public.url("/code.py", "other.example")
    said = await world.fetch(names, world.public.url(f"/to?place={there}", "public.example"))
    assert said.reason == "SourceForbidden"
    assert world.private.asked == []


async def test_a_host_allowed_by_name_may_be_private(world: World) -> None:
    world.settings = replace(world.settings, allow=AddressRule.read(["OTHER.example."]))
    url = world.public.url("/code.py", "other.example")
    assert (await world.fetch(Names(other=[[PRIVATE]]), url)).content == CODE
    url = world.public.url("/code.py", "public.example")
    assert (await world.fetch(Names(public=[[PRIVATE]]), url)).reason == "SourceForbidden"


async def test_a_name_that_does_not_exist_may_exist_later(world: World) -> None:
    said = await world.fetch(Names(), "https://missing.example/code.py")
    assert (said.reason, said.retryable) == ("SourceNotFound", True)


async def test_a_server_that_does_not_answer_is_given_up(world: World) -> None:
    world.settings = replace(world.settings, fetch_seconds=0.3)
    said = await world.fetch(Names(public=[[PUBLIC]]), world.public.url("/slow", "public.example"))
    assert (said.reason, said.retryable) == ("ProviderUnavailable", True)
