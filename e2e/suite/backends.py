"""Backends that tests apply."""

from __future__ import annotations

from typing import Any


def a_backend(name: str, **spec: Any) -> dict[str, Any]:
    """A local simulator with properties of its own."""
    return {
        "apiVersion": "quantum.io/v1",
        "kind": "QiskitBackend",
        "metadata": {"name": name},
        "spec": {"type": "local_simulator", **spec},
    }


def on(backend: str) -> dict[str, str]:
    """The job's choice of a backend."""
    return {"type": "local_simulator", "name": backend}
