"""Writes kubeconfig files that carry their certificates inside, so that one file is all a client needs."""

from __future__ import annotations

from base64 import b64encode
from pathlib import Path

import yaml

from localcluster.certificates import KeyPair, write_secret


def write_kubeconfig(
    path: Path, server: str, authority: bytes, client: KeyPair, *, name: str = "qiskit-local"
) -> Path:
    """Write a kubeconfig for `client` at `server` (https URL); cluster, user and context are named `name`."""
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [
            {
                "name": name,
                "cluster": {
                    "server": server,
                    "certificate-authority-data": b64encode(authority).decode(),
                },
            }
        ],
        "users": [
            {
                "name": name,
                "user": {
                    "client-certificate-data": b64encode(client.certificate).decode(),
                    "client-key-data": b64encode(client.key).decode(),
                },
            }
        ],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": "default"}}],
    }
    write_secret(path, yaml.safe_dump(content, sort_keys=False).encode())
    return path
