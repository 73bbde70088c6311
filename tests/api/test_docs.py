"""The user's pages show manifests that the API takes, and link to what exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from api.backend import QiskitBackendSpec
from api.job_spec import QiskitJobSpec
from api.reference import DIRECTORY

PAGES = ["getting-started", "writing-a-job", "sources", "outputs", "errors", "limits"]

_SPECS: dict[str, type[BaseModel]] = {"QiskitJob": QiskitJobSpec, "QiskitBackend": QiskitBackendSpec}
_FENCE = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)#]*)(?:#([^)]*))?\)")


def text_of(page: str) -> str:
    return (DIRECTORY / f"{page}.md").read_text(encoding="utf-8")


def shown(page: str) -> Iterator[dict[str, Any]]:
    """Every manifest of a page; a fragment of a job's spec is put into a job."""
    for block in _FENCE.findall(text_of(page)):
        content = yaml.safe_load(block)
        if "kind" in content:
            yield content
        else:
            spec = {
                "backend": {"type": "local_simulator"},
                "circuit": {"source": "inline", "code": "qc = QuantumCircuit(1)"},
            }
            yield {"kind": "QiskitJob", "spec": spec | content}


@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_shows_is_what_the_api_takes(page: str) -> None:
    for manifest in shown(page):
        _SPECS[manifest["kind"]].model_validate(manifest["spec"])


def test_pages_show_manifests_at_all() -> None:
    assert sum(1 for page in PAGES for _ in shown(page)) >= 12


@pytest.mark.parametrize("page", [*PAGES, "reference/reasons"])
def test_links_lead_somewhere(page: str) -> None:
    here = DIRECTORY / f"{page}.md"
    for target, anchor in _LINK.findall(text_of(page)):
        path = (here.parent / target).resolve() if target else here
        assert path.is_file(), f"{page}: {target}"
        if anchor:
            assert anchor in anchors(path), f"{page}: {target}#{anchor}"


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
