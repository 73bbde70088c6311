"""Every example, as a user applies it, with its counts held against the exact distribution."""

from __future__ import annotations

import gzip
import json
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest

from e2e.suite.conftest import ROOT, Kubectl
from examples.checks import check

EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))


def result_of(kubectl: Kubectl, job: str) -> Any:
    """The result document of a job that is Completed."""
    location = kubectl.json("get", "qjob", job)["status"]["results"]["location"]
    stored = kubectl.json("get", "configmap", location)
    if "results.json" in stored.get("data", {}):
        return json.loads(stored["data"]["results.json"])
    return json.loads(gzip.decompress(b64decode(stored["binaryData"]["results.json.gz"])))


@pytest.mark.parametrize("manifest", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_example(kubectl: Kubectl, manifest: Path) -> None:
    kubectl("apply", "-f", str(manifest))
    job = kubectl.json("get", "qjob")["items"][0]["metadata"]["name"]
    kubectl("wait", f"qjob/{job}", "--for=condition=Complete", "--timeout=180s", timeout=200)
    check(manifest.stem, result_of(kubectl, job))
