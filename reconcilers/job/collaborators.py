"""What the job reconciler asks of the caches and of the event recorder, and no more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from informers import KubernetesObject
from kube import ObjectReference

T_co = TypeVar("T_co", bound=KubernetesObject, covariant=True)


class Cache(Protocol[T_co]):
    """What a pass reads of an informer."""

    def get(self, namespace: str | None, name: str) -> T_co | None: ...
    def by_index(self, index: str, value: str) -> Sequence[T_co]: ...
    def version_for(self, namespace: str | None) -> str: ...


class Recorder(Protocol):
    """Says what happened, for `kubectl describe`; never waits, never fails."""

    def emit(self, about: ObjectReference, type: str, reason: str, message: str) -> None: ...  # noqa: A002
