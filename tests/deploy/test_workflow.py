"""The hosted workflow runs targets that exist, as they are."""

from __future__ import annotations

import re

import yaml

from deploy.images import ROOT

WORKFLOW = ROOT / ".github/workflows/checks.yaml"


def test_every_target_of_the_workflow_is_a_target_of_the_makefile() -> None:
    workflow = yaml.safe_load(WORKFLOW.read_text())
    targets = set(workflow["jobs"]["checks"]["strategy"]["matrix"]["target"])
    assert targets <= set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    steps = workflow["jobs"]["checks"]["steps"]
    assert "make ${{ matrix.target }}" in [step.get("run") for step in steps]


def test_the_workflow_can_write_nothing() -> None:
    assert yaml.safe_load(WORKFLOW.read_text())["permissions"] == {"contents": "read"}


def test_no_target_keeps_the_programs_of_another() -> None:
    steps = yaml.safe_load(WORKFLOW.read_text())["jobs"]["checks"]["steps"]
    (cache,) = [step["with"] for step in steps if step.get("uses", "").startswith("actions/cache@")]
    assert "${{ matrix.target }}" in cache["key"]
