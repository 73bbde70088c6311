"""Which ports the process got: logged, and written to a file for whoever started it with port 0."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import structlog

log = structlog.get_logger("ports")


class Ports(msgspec.Struct, frozen=True, kw_only=True):
    """The ports that are listened on. As JSON: `{"gateway": 8443, "metrics": 8080}`."""

    gateway: int
    metrics: int


def announce(ports: Ports, file: Path | None) -> None:
    """Log the ports; write them to `file` at once or not at all, so that a reader never sees half."""
    log.info("listening", gateway=ports.gateway, metrics=ports.metrics)
    if file is None:
        return
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    unfinished.write_bytes(msgspec.json.encode(ports))
    unfinished.replace(file)
