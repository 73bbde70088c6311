"""The executors' door: hands out work, takes progress and results, and keeps nothing.

Every replica of the operator serves it. What a call may do is decided from the caller's projected token,
the replica's informers, and, before anything is written, a live read of the job.

    server.py     the process part: TLS listener, readiness, certificate renewal
    handlers.py   HTTP in and out
    identity.py   token -> pod -> the one attempt that this pod may act for
    work.py       job -> WorkOrder (reads the source, checks its hash)
    results.py    HandIn -> the output object, created exactly once
    tls.py        the certificate authority in the operator's namespace
"""

from gateway.server import Gateway, GatewaySettings

__all__ = ["Gateway", "GatewaySettings"]
