"""HTTP/1.1 to one server, as little of it as the Kubernetes API takes.

Why not a library: a job costs the controller eight exchanges, and with aiohttp each of them takes about 1.4 times as
much processor time as with this (bench/requests.py measures both). Redirects, cookies, content codings and
multiplexing are no part of it, as no API server needs them.
"""

from kube.http.connection import Answer, Connection, Disconnected, TooLong
from kube.http.pool import Pool

__all__ = ["Answer", "Connection", "Disconnected", "Pool", "TooLong"]
