"""From a pydantic model to a structural schema, the dialect of JSON Schema that a CRD takes.

A structural schema has no references and no `anyOf` with null, every part has one type, and what is not
declared is pruned. Defaults of blocks become `{}`, which makes the API server fill in the defaults inside.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]

_ORDER = (
    "description",
    "type",
    "format",
    "default",
    "enum",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "required",
    "properties",
    "additionalProperties",
    "items",
    "anyOf",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-validations",
)
"""The keywords that a schema may have here, as they are written: what one reads first comes first."""


def structural_schema(model: type[BaseModel]) -> Schema:
    """The structural schema of a model, by alias.

    Raises:
        ValueError: if the model uses what a structural schema cannot say.
    """
    schema = model.model_json_schema(by_alias=True)
    return _convert(schema, schema.get("$defs", {}))


def _convert(schema: Mapping[str, Any], definitions: Mapping[str, Schema]) -> Schema:
    found = _resolve(schema, definitions)
    for dropped in ("title", "$defs"):
        found.pop(dropped, None)
    if found.get("additionalProperties") is False:
        del found["additionalProperties"]
    if "const" in found:
        found["enum"] = [found.pop("const")]
    if found.get("x-kubernetes-int-or-string"):
        found.pop("type", None)
        found["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    if "default" in found and found["default"] is None:
        del found["default"]
    if "properties" in found:
        found["properties"] = {
            name: _convert(part, definitions) for name, part in found["properties"].items()
        }
        if "default" in found:
            found["default"] = {}
    for inner in ("items", "additionalProperties"):
        if inner in found:
            found[inner] = _convert(found[inner], definitions)
    if "description" in found:
        found["description"] = " ".join(found["description"].split())
    unknown = found.keys() - set(_ORDER)
    if unknown:
        raise ValueError(f"a structural schema has no {', '.join(sorted(unknown))}: {found}")
    return {keyword: found[keyword] for keyword in _ORDER if keyword in found}


def _resolve(schema: Mapping[str, Any], definitions: Mapping[str, Schema]) -> Schema:
    """Follow references and drop the null of an optional field; what stands beside them wins."""
    beside = {key: value for key, value in schema.items() if key not in ("$ref", "anyOf")}
    if "$ref" in schema:
        target = definitions[schema["$ref"].removeprefix("#/$defs/")]
        return _resolve(target, definitions) | beside
    if "anyOf" in schema and not schema.get("x-kubernetes-int-or-string"):
        choices = [choice for choice in schema["anyOf"] if choice.get("type") != "null"]
        if len(choices) != 1:
            raise ValueError(f"a structural schema has no choice of types: {schema}")
        return _resolve(choices[0], definitions) | beside
    return beside
