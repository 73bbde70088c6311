"""Real Git services over HTTPS on loopback: dulwich's (protocol 0), and git's own (protocol 2) where installed."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from dulwich.repo import Repo
from dulwich.server import DictBackend
from dulwich.web import make_wsgi_chain

Environ = dict[str, Any]
Application = Callable[[Environ, Any], Iterable[bytes]]

SERVERS = ["dulwich", *(["git"] if shutil.which("git") else [])]


def application(kind: str, repository: Path) -> Application:
    """Serves the one repository as /repo."""
    if kind == "git":
        return _git_http_backend(repository)
    served: Application = make_wsgi_chain(DictBackend({"/repo": Repo(str(repository))}))
    return served


@contextlib.contextmanager
def serve(wrapped: Application, tls: ssl.SSLContext) -> Iterator[int]:
    """Serve on a free port of loopback, in threads, and give the port."""
    server = make_server("127.0.0.1", 0, wrapped, _Server, _Quiet)
    server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no news."""


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _git_http_backend(repository: Path) -> Application:
    """git's own CGI program as a WSGI application."""

    def run(environ: Environ, start_response: Any) -> Iterable[bytes]:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        variables = {
            **{
                k: v for k, v in environ.items() if isinstance(v, str) and k.startswith(("HTTP_", "CONTENT_"))
            },
            "PATH": os.environ["PATH"],
            "HOME": str(repository.parent),
            "GIT_PROJECT_ROOT": str(repository.parent),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": environ.get("HTTP_GIT_PROTOCOL", ""),
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
            "GIT_CONFIG_KEY_1": "uploadpack.allowFilter",
            "GIT_CONFIG_VALUE_1": "true",
            "PATH_INFO": environ["PATH_INFO"].replace("/repo/", f"/{repository.name}/", 1),
            "QUERY_STRING": environ.get("QUERY_STRING", ""),
            "REQUEST_METHOD": environ["REQUEST_METHOD"],
        }
        done = subprocess.run(
            ["git", "http-backend"],
            input=environ["wsgi.input"].read(length),
            env=variables,
            capture_output=True,
        )
        head, _, body = done.stdout.partition(b"\r\n\r\n")
        headers = [tuple(line.split(": ", 1)) for line in head.decode().splitlines() if ": " in line]
        status = next((value for name, value in headers if name == "Status"), "200 OK")
        start_response(status, [header for header in headers if header[0] != "Status"])
        return io.BytesIO(body)

    return run
