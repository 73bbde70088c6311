"""What this machine can do: the local cluster needs Linux, and says so."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

_MEMORY_FILE_SYSTEM = Path("/dev/shm")  # noqa: S108 - every file made there lies in a fresh private folder
_ROOM_IN_MEMORY = 1 << 30
"""Bytes that must be free before etcd's data goes to memory; ten thousand jobs need about a tenth of it."""


class Unsupported(RuntimeError):
    """This machine cannot run the local cluster; the message says what can be done instead."""


def require_linux() -> None:
    """Raise `Unsupported` anywhere but on Linux.

    Parent-death signals, /proc and process namespaces are what makes the cluster end without a trace.
    """
    if not sys.platform.startswith("linux"):
        raise Unsupported(
            f"The local cluster runs on Linux only (this is {sys.platform}). Use a cluster of your own "
            "instead: start one with kind or minikube and pass its kubeconfig."
        )


def folder_in_memory() -> Path | None:
    """A file system in memory with room for a cluster's data, or None: then it goes to disk."""
    if not os.access(_MEMORY_FILE_SYSTEM, os.W_OK):
        return None
    try:
        free = shutil.disk_usage(_MEMORY_FILE_SYSTEM).free
    except OSError:
        return None
    return _MEMORY_FILE_SYSTEM if free >= _ROOM_IN_MEMORY else None
