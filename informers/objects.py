"""What a cached object must have: a type for Kubernetes metadata that any lean struct fulfils."""

from __future__ import annotations

from typing import Protocol

from informers.key import Key


class Metadata(Protocol):
    """The part of `metadata` that a cache lives by."""

    @property
    def name(self) -> str: ...
    @property
    def namespace(self) -> str | None: ...
    @property
    def uid(self) -> str | None: ...
    @property
    def resource_version(self) -> str | None: ...


class KubernetesObject(Protocol):
    """An immutable view of an object, decoded once and shared by all readers (G16)."""

    @property
    def metadata(self) -> Metadata: ...


def key_of(obj: KubernetesObject) -> Key:
    """The object's namespace and name."""
    return Key(obj.metadata.namespace or "", obj.metadata.name)


def is_replaced(old: KubernetesObject, new: KubernetesObject) -> bool:
    """Whether an update is in truth a delete and a create that nobody saw: same key, another UID (G8)."""
    return old.metadata.uid != new.metadata.uid
