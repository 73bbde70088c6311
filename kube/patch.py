"""The smallest merge patch between two states of an object, so that what changes nothing is never sent."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec


def merge_patch_between(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The RFC 7396 merge patch that makes `new` of `old`; empty if there is nothing to do.

    A key that is None counts as absent, as it does in a merge patch. Lists are replaced whole.
    """
    patch: dict[str, Any] = {
        key: None for key, value in old.items() if value is not None and new.get(key) is None
    }
    for key, value in new.items():
        before = old.get(key)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            if inner := merge_patch_between(before, value):
                patch[key] = inner
        elif value is not None and value != before:
            patch[key] = value
    return patch


def struct_patch(old: msgspec.Struct, new: msgspec.Struct) -> dict[str, Any]:
    """The merge patch between two structs of one type, of which defaults are omitted when they are encoded.

    The same as `merge_patch_between` of them as dictionaries, without making any of what did not change.
    """
    patch: dict[str, Any] = {}
    for name, encoded, default in _fields(type(new)):
        before, value = getattr(old, name), getattr(new, name)
        if value is before or value == before:
            continue
        if isinstance(value, msgspec.Struct) and isinstance(before, msgspec.Struct):
            patch[encoded] = struct_patch(before, value)
        elif value is None or value == default:
            patch[encoded] = None
        elif isinstance(value, dict):
            patch[encoded] = merge_patch_between(msgspec.to_builtins(before), msgspec.to_builtins(value))
        else:
            patch[encoded] = msgspec.to_builtins(value)
    return patch


@cache
def _fields(kind: type[msgspec.Struct]) -> list[tuple[str, str, Any]]:
    """Names of the fields in Python and in JSON, and what they are where nothing is said."""
    return [
        (field.name, field.encode_name, {} if field.default_factory is dict else field.default)
        for field in msgspec.structs.fields(kind)
    ]
