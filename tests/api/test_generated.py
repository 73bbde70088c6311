"""What is generated is committed as generated, and is what the API server can take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from pydantic import Field

from api import crds, reference
from api.block import Block
from api.kinds import KINDS, QISKIT_JOB, Kind
from api.structural import structural_schema


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_the_committed_crd_is_what_the_models_give(kind: Kind) -> None:
    committed = (crds.DIRECTORY / crds.file_name(kind)).read_text(encoding="utf-8")
    assert committed == crds.manifest(kind), "run `make crds`"


@pytest.mark.parametrize("name", reference.pages())
def test_a_committed_page_is_what_the_models_give(name: str) -> None:
    committed = (reference.DIRECTORY / name).read_text(encoding="utf-8")
    assert committed == reference.pages()[name], "run `make crds`"


def parts(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, part in schema.get("properties", {}).items():
        yield from parts(part, f"{path}.{name}")
    for inner in ("items", "additionalProperties"):
        if inner in schema:
            yield from parts(schema[inner], f"{path}[]")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_every_field_has_a_type_and_a_description(kind: Kind) -> None:
    for path, schema in parts(crds.object_schema(kind), kind.kind):
        assert "type" in schema or schema.get("x-kubernetes-int-or-string"), path
        if not path.endswith(("[]", ".metadata")):
            assert len(schema.get("description", "")) > 5, path


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.kind)
def test_every_list_and_text_that_a_rule_reads_is_bounded(kind: Kind) -> None:
    for path, schema in parts(structural_schema(kind.spec), "spec"):
        if schema.get("type") == "array":
            assert "maxItems" in schema, path
        if schema.get("type") == "string" and "x-kubernetes-validations" in schema:
            assert "maxLength" in schema, path


def test_a_column_shows_a_field_that_exists() -> None:
    for kind in KINDS:
        known = {path.removeprefix(kind.kind) for path, _ in parts(crds.object_schema(kind), kind.kind)}
        for column in kind.columns:
            assert column.path in known | {".metadata.creationTimestamp"}


def test_a_block_gets_an_empty_default_so_that_the_server_fills_in_the_rest() -> None:
    spec = structural_schema(QISKIT_JOB.spec)["properties"]
    assert spec["execution"]["default"] == {}
    assert spec["execution"]["properties"]["shots"]["default"] == 1024
    assert "default" not in spec["resources"]


def test_a_choice_of_types_has_no_structural_schema() -> None:
    class Undecided(Block):
        """Either."""

        value: int | str
        """Either."""

    with pytest.raises(ValueError, match="no choice of types"):
        structural_schema(Undecided)


def test_a_keyword_that_crds_do_not_know_is_an_error_here_and_not_at_the_server() -> None:
    class Exclusive(Block):
        """Bounded."""

        value: Annotated[int, Field(gt=0)]
        """Bounded."""

    with pytest.raises(ValueError, match="exclusiveMinimum"):
        structural_schema(Exclusive)
