"""What ends up in the pod's log: the user's prints up to a limit, and results that had no other place."""

from __future__ import annotations

import os
import sys
from typing import Any

import msgspec

OUTPUT_LIMIT = 1 << 20
"""Bytes of what user code prints that are shown. Nodes keep 10 MB a container by default."""

DOCUMENT_LIMIT = 8 << 20
"""Bytes of a result document that are printed, for the same reason."""


class UserOutput:
    """Passes on what a child prints, up to `OUTPUT_LIMIT` bytes over both of its streams."""

    def __init__(self, descriptor: int = 1) -> None:
        self._descriptor = descriptor
        self._left = OUTPUT_LIMIT

    def __call__(self, chunk: bytes) -> None:
        """Print a chunk; to be used as `on_output`."""
        if self._left <= 0:
            return
        self.write(chunk[: self._left])
        self._left -= len(chunk)
        if self._left <= 0:
            self.write(b"\n[what the code prints beyond %d KiB is not shown]\n" % (OUTPUT_LIMIT >> 10))

    def write(self, content: bytes) -> None:
        """Write to the pod's log."""
        _write(self._descriptor, content)


def print_document(document: dict[str, Any], encoded: bytes, descriptor: int = 1) -> str:
    """Print a result document as one line, and say in words what was printed.

    Of a document beyond `DOCUMENT_LIMIT` the rarest outcomes are left out.
    """
    kept = None
    while len(encoded) > DOCUMENT_LIMIT:
        kept = 4096 if kept is None else kept // 2
        encoded = msgspec.json.encode(_with_fewer_outcomes(document, kept))
    _write(descriptor, b"\n" + msgspec.json.format(encoded, indent=-1) + b"\n")
    if kept is None:
        return "the whole result is in the pod's log (kubectl logs)"
    return f"the {kept} most frequent outcomes of each circuit are in the pod's log (kubectl logs)"


def _with_fewer_outcomes(document: dict[str, Any], kept: int) -> dict[str, Any]:
    def cut(run: dict[str, Any]) -> dict[str, Any]:
        return {**run, "counts": dict(list(run["counts"].items())[:kept])}

    results = cut(document["results"])
    if "circuits" in results:
        results["circuits"] = [cut(run) for run in results["circuits"]]
    return {**document, "results": {**results, "truncated": True}}


def _write(descriptor: int, content: bytes) -> None:
    sys.stdout.flush()
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
