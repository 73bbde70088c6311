"""HTTP/1.1 to one server, as little of it as the Kubernetes API takes.

Why not a library: a job costs the controller eight exchanges, and a general client takes twice as much processor
time for one as asyncio, TLS and the parser below it do (bench/requests.py measures it). Redirects, cookies, content
codings and multiplexing are no part of it, as no API server needs them.
"""

from kube.http.connection import Answer, Connection, Disconnected, TooLong
from kube.http.pool import Pool

__all__ = ["Answer", "Connection", "Disconnected", "Pool", "TooLong"]
