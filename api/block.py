"""The base of every block of a manifest, and the kinds of value that blocks share.

A docstring under a field is its manual: it becomes the field's description in the CRD, so it is what
`kubectl explain` prints and what the reference pages say.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from api.durations import DURATION_LIMIT, DURATION_PATTERN
from api.quantities import QUANTITY_LIMIT, QUANTITY_PATTERN

RULES = "x-kubernetes-validations"


class Block(BaseModel):
    """Part of a manifest: camelCase outside, snake_case inside, nothing that is not declared."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )


def rule(expression: str, message: str, *, field: str | None = None) -> dict[str, Any]:
    """A CEL rule of a block. `field` is the JSON name of the field that an error is to name."""
    cel = {"rule": expression, "message": message}
    if field is not None:
        cel["fieldPath"] = f".{field}"
    return cel


def rules(*cel: dict[str, Any]) -> dict[str, Any]:
    """`json_schema_extra` that puts CEL rules on a block or a field."""
    return {RULES: list(cel)}


def matching(
    pattern: str, message: str, *more: dict[str, Any], longest: int, shortest: int | None = None
) -> Any:
    """A text field of a pattern, with a sentence for people: a pattern's own error shows a regular expression."""
    return Field(
        pattern=pattern,
        min_length=shortest,
        max_length=longest,
        json_schema_extra=rules(rule(f"self.matches(r'{pattern}')", message), *more),
    )


Duration = Annotated[
    str,
    matching(
        DURATION_PATTERN,
        "must be a duration such as 90s, 10m or 1h30m",
        rule("self.matches('[1-9]')", "must be longer than zero"),
        longest=DURATION_LIMIT,
    ),
]
"""Text such as "10m"; zero is refused, since a limit of zero would end everything at once."""

Quantity = Annotated[
    int | Annotated[str, Field(pattern=QUANTITY_PATTERN, max_length=QUANTITY_LIMIT)],
    Field(
        json_schema_extra={
            "x-kubernetes-int-or-string": True,
            "pattern": QUANTITY_PATTERN,
            "maxLength": QUANTITY_LIMIT,
            "minimum": 0,
            **rules(
                rule(
                    "type(self) == int || isQuantity(self)",
                    "must be a quantity such as 500m, 2, 512Mi or 4Gi",
                )
            ),
        }
    ),
]
"""A resource quantity as Kubernetes writes it: "500m", 2, "4Gi"."""

Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
"""A point in time in RFC 3339."""

DNS_NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
"""A name that Kubernetes takes for an object (RFC 1123 subdomain)."""

ObjectName = Annotated[
    str,
    matching(
        DNS_NAME_PATTERN,
        "must be the name of an object: lower-case letters, digits, '-' and '.', such as my-results",
        longest=253,
    ),
]
