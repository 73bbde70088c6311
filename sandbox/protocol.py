"""What the parent and the zygote say to each other, one JSON message a packet, and a child's first frame.

Descriptors travel beside a `Spawn`, in the order of `Descriptors`. The zygote never sees a payload or a
child's output: those go through pipes between parent and child only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from sandbox.policy import Layer, SandboxPolicy

PACKET_BYTES = 64 << 10
"""Upper bound of one message; a policy with its paths needs a small part of it."""


class Boot(msgspec.Struct, frozen=True):
    """How a zygote begins: its end of the socketpair, and the functions to load."""

    socket: int
    parent: int
    preload: str
    entry: str


class Spawn(msgspec.Struct, frozen=True, tag=True):
    """Fork a child; kill it after `wall_seconds`."""

    id: int
    policy: SandboxPolicy
    wall_seconds: float


class Descriptors(NamedTuple):
    """The descriptors of one child: its payload, its frames, what it prints."""

    payload: int
    frames: int
    stdout: int
    stderr: int


class Kill(msgspec.Struct, frozen=True, tag=True):
    """Kill one child; it is reported as any other that ends. Unknown if it has already ended."""

    id: int


class Ready(msgspec.Struct, frozen=True, tag=True):
    """The zygote has loaded everything and has one thread."""

    pid: int


class Broken(msgspec.Struct, frozen=True, tag=True):
    """The zygote could not load, or must not fork any more; it ends after this."""

    message: str


class Ended(msgspec.Struct, frozen=True, tag=True):
    """A child is dead and reaped. `status` is that of wait(2), `peak_rss_bytes` includes shared pages."""

    id: int
    status: int
    wall_seconds: float
    cpu_seconds: float
    peak_rss_bytes: int
    out_of_wall_time: bool
    killed_for_memory: bool


class NotSpawned(msgspec.Struct, frozen=True, tag=True):
    """The child could not be forked."""

    id: int
    message: str


class Entered(msgspec.Struct, frozen=True, tag=True):
    """A child's first frame, written before it runs any user code: these layers hold."""

    layers: frozenset[Layer]


class Unavailable(msgspec.Struct, frozen=True, tag=True):
    """A child's first and only frame: a required layer could not be put in place."""

    layer: Layer
    cause: str


def encode(message: msgspec.Struct) -> bytes:
    """One message as JSON."""
    return msgspec.json.encode(message, enc_hook=str)


def _path(kind: type, value: Any) -> Any:
    if kind is Path:
        return Path(value)
    raise NotImplementedError


_requests = msgspec.json.Decoder(Spawn | Kill, dec_hook=_path)
_reports = msgspec.json.Decoder(Ready | Broken | Ended | NotSpawned)
_greetings = msgspec.json.Decoder(Entered | Unavailable)

decode_request = _requests.decode
"""Read what the parent says."""
decode_report = _reports.decode
"""Read what the zygote says."""
decode_greeting = _greetings.decode
"""Read a child's first frame."""
