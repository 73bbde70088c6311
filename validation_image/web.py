"""HTTPS requests to places that a user has named: every hop is checked, every size and time bounded."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver
from aiohttp.client_exceptions import ClientConnectorCertificateError, ClientConnectorDNSError
from yarl import URL

from messages.version import VERSION
from validation_image.addresses import AddressRule
from validation_image.faults import Fault, forbidden, not_found, unavailable

MAX_REDIRECTS = 5
URL_LIMIT = 2048
"""Characters of a URL; longer ones are cut short by servers in between anyway."""

_CONNECT_SECONDS = 10.0
_IDLE_SECONDS = 15.0
_REDIRECTS = (301, 302, 303, 307, 308)
_HEADERS = {"User-Agent": f"qiskit-operator/{VERSION}", "Accept-Encoding": "identity"}
"""Nothing compressed: the size that is counted is then the size that is held."""

_AddressInfo = tuple[int, int, int, str, tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Page:
    """A successful answer. `url` is where it came from in the end."""

    url: URL
    content_type: str
    content: bytes


def read_url(text: str) -> URL:
    """A URL that may be fetched as far as its text goes. Raises Fault (SourceForbidden) for any other."""
    if (
        len(text) > URL_LIMIT
        or not text.isascii()
        or not text.isprintable()
        or set(text) & set(' \\"<>^`{|}')
    ):
        raise forbidden("the URL is too long or has characters that a URL cannot have")
    try:
        url = URL(text)
        host = url.host
    except ValueError as error:
        raise forbidden(f"this is no URL: {error}") from None
    if url.scheme != "https":
        raise forbidden(f"only https is fetched, not {url.scheme or 'a path'}")
    if not host:
        raise forbidden("the URL names no host")
    if url.user is not None or url.password is not None:
        raise forbidden("the URL holds credentials, which would be public in the job; sources must be public")
    return url


class Web:
    """The requests of one fetch, for the URL in `field` of a job.

    Not shared between fetches: no connection or name outlives the one it served.
    """

    def __init__(
        self, field: str, rule: AddressRule, tls: ssl.SSLContext, resolver: AbstractResolver | None = None
    ) -> None:
        self._field = field
        self._rule = rule
        self._tls = tls
        self._resolver = resolver
        self._host = ""
        self._refused: set[str] = set()

    async def get(self, url: URL, *, limit: int, headers: Mapping[str, str] | None = None) -> Page:
        """Fetch at most `limit` bytes. Follows redirects, each of which is checked as the first URL was.

        Raises Fault.
        """
        for _ in range(MAX_REDIRECTS + 1):
            answer = await self._request("GET", url, headers or {}, None, limit)
            if isinstance(answer, Page):
                return answer
            url = read_url(str(answer))
        raise forbidden(f"more than {MAX_REDIRECTS} redirects")

    async def post(self, url: URL, body: bytes, *, limit: int, headers: Mapping[str, str]) -> Page:
        """Send `body` and read at most `limit` bytes; a redirect is refused. Raises Fault."""
        answer = await self._request("POST", url, headers, body, limit)
        if isinstance(answer, Page):
            return answer
        raise forbidden(f"{_show(url)} redirects what was sent to it")

    async def _request(
        self, method: str, url: URL, headers: Mapping[str, str], body: bytes | None, limit: int
    ) -> Page | URL:
        assert url.host is not None
        self._host = url.host
        self._refused.clear()
        connector = aiohttp.TCPConnector(
            ssl=self._tls, resolver=self._resolver, socket_factory=self._make_socket, force_close=True
        )
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=_IDLE_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(
                    connector=connector,
                    connector_owner=True,
                    cookie_jar=aiohttp.DummyCookieJar(),
                    auto_decompress=False,
                    trust_env=False,
                    timeout=timeout,
                ) as session,
                session.request(
                    method, url, headers={**_HEADERS, **headers}, data=body, allow_redirects=False
                ) as response,
            ):
                return await _take(response, limit)
        except aiohttp.InvalidURL as error:
            raise forbidden(f"this is no URL that can be fetched: {error}") from None
        except UnicodeError:  # of the resolver: a label is empty or longer than 63 characters
            raise forbidden(f"{url.host[:100]} cannot be the name of a host") from None
        except ClientConnectorCertificateError as error:
            raise forbidden(
                f"{url.host}: its certificate is not trusted: {error.certificate_error}"
            ) from None
        except ClientConnectorDNSError as error:
            raise self._unresolved(error) from None
        except aiohttp.ClientError as error:
            raise self._unreached(error) from None
        except TimeoutError:
            raise unavailable(f"{url.host} does not answer in time") from None

    def _make_socket(self, info: _AddressInfo) -> socket.socket:
        """Make the socket for one connection attempt, if its address is one to connect to."""
        family, kind, protocol, _, (address, *_) = info
        if not self._rule.allows(self._host, address):
            self._refused.add(address)
            raise PermissionError(f"{address} is not public")
        return socket.socket(family, kind, protocol)

    def _unresolved(self, error: ClientConnectorDNSError) -> Fault:
        if getattr(error.os_error, "errno", None) in (socket.EAI_NONAME, socket.EAI_NODATA):
            return not_found(f"there is no host {self._host}; correct its name in {self._field}")
        return unavailable(f"the name {self._host} cannot be resolved now")

    def _unreached(self, error: aiohttp.ClientError) -> Fault:
        if self._refused:
            addresses = ", ".join(sorted(self._refused))
            behind = "" if addresses == self._host else f" ({addresses})"
            return forbidden(
                f"{self._host}{behind} is not a public address; the operator's administrator can allow it by "
                "name or CIDR"
            )
        return unavailable(f"{self._host}: {error}")


async def _take(response: aiohttp.ClientResponse, limit: int) -> Page | URL:
    """The content of an answer, or where it points to."""
    url, status = response.url, response.status
    if status in _REDIRECTS:
        try:
            return url.join(URL(response.headers["Location"]))
        except (KeyError, ValueError):
            raise unavailable(f"{_show(url)} redirects to nowhere") from None
    if status in (404, 410):
        raise not_found(f"{_show(url)} is not there (HTTP {status})")
    if status in (401, 403, 407, 451):
        raise forbidden(f"{url.host} does not let anybody read {_show(url)} (HTTP {status})")
    if status != 200:
        raise unavailable(f"{_show(url)} answered HTTP {status}")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise forbidden(f"{url.host} sends {_show(url)} compressed without being asked to")
    content = bytearray()
    async for chunk in response.content.iter_any():
        content += chunk
        if len(content) > limit:
            raise forbidden(f"{_show(url)} is larger than {limit} bytes")
    return Page(url, response.content_type, bytes(content))


def _show(url: URL) -> str:
    """A URL for a message: its query may be somebody's key."""
    return str(url.with_query(None).with_fragment(None))[:300]
