"""Every example, as a user applies it, with its counts held against the exact distribution."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.suite.installing import ROOT
from e2e.suite.jobs import result_of
from e2e.suite.kubectl import Kubectl
from examples.checks import check

EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))


@pytest.fixture(scope="module")
def examples(installed: Kubectl, cluster: Kubectl) -> Iterator[Kubectl]:
    """A namespace to which all examples were applied at once."""
    name = f"examples-{secrets.token_hex(4)}"
    cluster("create", "namespace", name)
    cluster("-n", name, "apply", "-f", str(ROOT / "examples"))
    yield cluster.within(name)
    cluster("delete", "namespace", name, "--wait=false")


@pytest.mark.parametrize("manifest", EXAMPLES, ids=[path.stem for path in EXAMPLES])
def test_example(examples: Kubectl, manifest: Path) -> None:
    examples("wait", "-f", str(manifest), "--for=condition=Complete", "--timeout=180s", timeout=200)
    job = examples.json("get", "-f", str(manifest))["metadata"]["name"]
    check(manifest.stem, result_of(examples, job))
