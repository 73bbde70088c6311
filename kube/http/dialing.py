"""A TCP connection to a host: whichever of its addresses answers first."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

from aiohappyeyeballs import AddrInfoType, start_connection

NEXT_ADDRESS = 0.25
"""Seconds until a host's next address is tried beside the one that does not answer (RFC 8305)."""


async def dial(host: str, port: int) -> socket.socket:
    """A connected socket.

    Raises:
        OSError: if the host has no address, or nobody is there.
    """
    addresses = await _addresses(host, port)
    task = asyncio.current_task()
    cancelled = task.cancelling() if task is not None else 0
    dialled = await start_connection(addresses, happy_eyeballs_delay=NEXT_ADDRESS)
    if task is not None and task.cancelling() > cancelled:
        # It came while the attempts that had lost were being ended, and was taken for the end of one of them. Without
        # this a deadline that passes then would never end the wait for the answer.
        dialled.close()
        raise asyncio.CancelledError
    return dialled


async def _addresses(host: str, port: int) -> list[AddrInfoType]:
    try:
        version = ipaddress.ip_address(host).version
    except ValueError:
        return await _looked_up(host, port)
    # An address needs no look-up, which would take a thread.
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    return [(family, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", (host, port))]


async def _looked_up(host: str, port: int) -> list[AddrInfoType]:
    try:
        return list(await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except UnicodeError as error:  # a part of it is empty, or longer than 63 characters
        raise OSError(f"{host!r} is no host name") from error
