"""What is in the images, seen from inside: byte code, no tools, nobody's rights."""

from __future__ import annotations

import json
from typing import Any

import pytest

from e2e.suite.kubectl import Kubectl
from e2e.suite.probes import run_python

LOOK = """
import importlib.util, json, os, pathlib, shutil, sys
app = pathlib.Path("/opt/app")
sources = [path for path in app.rglob("*.py")]
compiled = [path for path in sources if os.path.exists(importlib.util.cache_from_source(path))]
print(json.dumps({
    "tools": [name for name in ("gcc", "cc", "make", "git", "curl") if shutil.which(name)],
    "pip": importlib.util.find_spec("pip") is not None,
    "sources": len(sources),
    "compiled": len(compiled),
    "uid": os.getuid(),
    "writable": [path for path in ("/", "/opt", "/opt/app", "/usr", "/etc") if os.access(path, os.W_OK)],
    "packages": sorted(path.name for path in app.iterdir()),
}))
"""

SHIPS = {
    "controller": {
        "api",
        "backends",
        "controller",
        "gateway",
        "informers",
        "kube",
        "messages",
        "reconcilers",
    },
    "validation": {"circuits", "messages", "sandbox", "validation_image"},
    "executor": {"circuits", "executor_image", "messages", "sandbox"},
}
"""The packages of each image: those that its part of the architecture may import, and no others."""


@pytest.mark.parametrize("image", SHIPS)
def test_an_image_holds_its_program_and_no_tools(image: str, kubectl: Kubectl, installed: Kubectl) -> None:
    seen = _look(image, kubectl, installed)
    assert set(seen["packages"]) == SHIPS[image]
    assert seen["tools"] == []
    assert seen["pip"] is False
    assert seen["compiled"] == seen["sources"] > 0
    assert seen["uid"] == 65532
    assert seen["writable"] == []


def _look(image: str, kubectl: Kubectl, installed: Kubectl) -> dict[str, Any]:
    if image == "executor":
        said = run_python(kubectl, LOOK)
    else:
        said = installed("exec", f"deploy/qiskit-operator-{image}", "--", "python", "-c", LOOK)
    seen: dict[str, Any] = json.loads(said)
    return seen
