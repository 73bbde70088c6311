"""The few fields of an object's metadata that a controller reads, decoded once and never changed.

These are views: what they do not name is dropped when a watch line is decoded. Unknown fields are no error.
"""

from __future__ import annotations

import msgspec


class OwnerReference(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """One entry of `metadata.ownerReferences`."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None
    block_owner_deletion: bool | None = None


class ObjectMeta(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """`metadata` of any object.

    `resource_version` is opaque: compare it for equality only. Times are RFC 3339 UTC as the API server
    wrote them. `generation` is 0 for kinds that have none (ConfigMaps).
    """

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[OwnerReference, ...] = ()
    finalizers: tuple[str, ...] = ()

    @property
    def controller(self) -> OwnerReference | None:
        """The owner that controls this object, if there is one."""
        for owner in self.owner_references:
            if owner.controller:
                return owner
        return None
