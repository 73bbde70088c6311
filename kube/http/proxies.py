"""A tunnel through an HTTP proxy (RFC 9110, CONNECT), and who we are to the proxy."""

from __future__ import annotations

import asyncio
import base64
import ssl
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote

from kube.http.connection import Connection, Disconnected


@dataclass(frozen=True, slots=True)
class Tunnel:
    """The way through `proxy` to `server` (host:port), whose certificate is to be for `server_name`."""

    proxy: SplitResult
    server: str
    tls: ssl.SSLContext
    server_name: str | None

    async def open(self, connection: Connection) -> None:
        """Have the proxy that is at the other end connect us to the server, and speak TLS with that.

        Raises:
            OSError: if the proxy refuses, or the server's certificate is not what it should be.
        """
        lines = [f"CONNECT {self.server} HTTP/1.1", f"Host: {self.server}"]
        if allowed := authorization(self.proxy):
            lines.append(f"Proxy-Authorization: {allowed}")
        answer = await connection.begin(("\r\n".join(lines) + "\r\n\r\n").encode())
        if not 200 <= answer.status < 300:
            refusal = f"HTTP {answer.status} {answer.reason}"
            raise Disconnected(f"the proxy {self.proxy.hostname} refuses to connect: {refusal}")
        if connection.unread:
            # It came before TLS, from anybody, and would be read as the beginning of the server's first answer.
            raise Disconnected(f"the proxy {self.proxy.hostname} spoke in the server's place")
        secured = await asyncio.get_running_loop().start_tls(
            connection.transport, connection, self.tls, server_hostname=self.server_name
        )
        if secured is None:
            raise Disconnected(f"the proxy {self.proxy.hostname} hung up")
        connection.continue_above(secured)


def authorization(proxy: SplitResult) -> str | None:
    """The Proxy-Authorization header's value for the user and password in the proxy's URL, if there are any."""
    if proxy.username is None:
        return None
    pair = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()
