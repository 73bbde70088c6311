"""The CustomResourceDefinitions, made from the models: `python -m api.crds` writes them to deploy/crds."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

from api.kinds import KINDS, Column, Kind
from api.names import GROUP, VERSION
from api.structural import Schema, structural_schema

DIRECTORY = Path(__file__).resolve().parent.parent / "deploy" / "crds"

_NOTICE = "# Made by `make crds` from the models in api/; do not edit.\n"


def crd(kind: Kind) -> dict[str, Any]:
    """The CustomResourceDefinition of a kind."""
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [_column(column) for column in kind.columns],
        "schema": {"openAPIV3Schema": object_schema(kind)},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind.kind,
                "listKind": f"{kind.kind}List",
                "plural": kind.plural,
                "singular": kind.kind.lower(),
                "shortNames": list(kind.short_names),
                "categories": ["quantum"],
            },
            "versions": [version],
        },
    }


def object_schema(kind: Kind) -> Schema:
    """The schema of a whole object of a kind.

    `status` has a default, so that an object that no operator has looked at yet already shows its phase.
    """
    status = structural_schema(kind.status)
    if any("default" in part for part in status["properties"].values()):
        status = {"description": status["description"], "type": "object", "default": {}, **status}
    return {
        "description": kind.description,
        "type": "object",
        "required": ["spec"],
        "properties": {
            "apiVersion": {"description": f"{GROUP}/{VERSION}", "type": "string"},
            "kind": {"description": kind.kind, "type": "string"},
            "metadata": {"type": "object"},
            "spec": structural_schema(kind.spec),
            "status": status,
        },
    }


def manifest(kind: Kind) -> str:
    """A kind's CRD as the text of its file."""
    return _NOTICE + yaml.dump(crd(kind), Dumper=_Dumper, sort_keys=False, width=100, allow_unicode=True)


def file_name(kind: Kind) -> str:
    """Name of a kind's file in deploy/crds."""
    return f"{GROUP}_{kind.plural}.yaml"


def _column(column: Column) -> dict[str, Any]:
    printed: dict[str, Any] = {"name": column.name, "type": column.type, "jsonPath": column.path}
    if column.description:
        printed["description"] = column.description
    if column.wide:
        printed["priority"] = 1
    return printed


class _Dumper(yaml.SafeDumper):
    """Writes every object in full: anchors save lines and cost readers."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the signature is PyYAML's
        return True


def main(directory: Path = DIRECTORY) -> None:
    """Write every kind's CRD."""
    directory.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        path = directory / file_name(kind)
        path.write_text(manifest(kind), encoding="utf-8")
        sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    main()
