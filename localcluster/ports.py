"""Ports that stay ours: held by a bound socket that never listens, shared with the server by SO_REUSEPORT.

Asking the kernel for a free port, closing it and starting a server there is a race that parallel tests lose
now and then. As long as the reservation is held, nobody without SO_REUSEPORT and our user id can bind it.
"""

from __future__ import annotations

import socket

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """A port on 127.0.0.1 that was free just now. Whoever takes it has to be ready to find it taken."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


class ReservedPort:
    """A TCP port on 127.0.0.1. The server that uses it has to set SO_REUSEPORT."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._socket.bind((LOOPBACK, 0))
        self.number: int = self._socket.getsockname()[1]

    def release(self) -> None:
        """Give it up."""
        self._socket.close()
