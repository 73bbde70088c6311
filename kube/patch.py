"""The smallest merge patch between two states of an object, so that what changes nothing is never sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def merge_patch_between(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """The RFC 7396 merge patch that makes `new` of `old`; empty if there is nothing to do.

    Keys that `new` lacks are removed (null). Lists are replaced whole, as a merge patch does.
    """
    patch: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        if key not in old:
            patch[key] = value
        elif isinstance(value, Mapping) and isinstance(old[key], Mapping):
            if inner := merge_patch_between(old[key], value):
                patch[key] = inner
        elif value != old[key]:
            patch[key] = value
    return patch
