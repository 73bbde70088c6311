"""The key of an object in a cache and in a work queue: namespace and name."""

from __future__ import annotations

from typing import NamedTuple


class Key(NamedTuple):
    """Namespace and name; the namespace of cluster-scoped objects is the empty string.

    A key outlives the object: delete and recreate give the same key and another UID.
    """

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name
