"""The smallest merge patch between two states of an object, so that what changes nothing is never sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


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
