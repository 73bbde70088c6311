"""From bytes to lean structs, once: watch lines to events, list bodies to objects (G13, G18, H2, H5).

A line or body that is not JSON is refused as a whole, never handed on half-parsed. An object that is JSON but
does not fit the type is skipped and named, so that one odd object does not blind us to all the others.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec
from msgspec import Raw, Struct

from informers.events import Bookmark, Changed, ErrorEvent, Event, Skipped, Undecodable
from informers.faults import fault_of_status
from informers.key import Key
from informers.objects import KubernetesObject, key_of
from informers.timing import let_others_run
from messages.unreadable import UNREADABLE

T = TypeVar("T", bound=KubernetesObject)
S = TypeVar("S")

SLICE = 256
"""Objects decoded between two turns of the event loop: about 2 ms of 7 KB pods (H2)."""

INITIAL_END = "k8s.io/initial-events-end"
"""The annotation of the bookmark that ends the initial events (KEP-3157)."""

KIND_WITHIN = 192
"""Bytes in which a server writes type, apiVersion and kind, before any kind of a nested reference."""

CHANGES = frozenset({"ADDED", "MODIFIED", "DELETED"})

_log = logging.getLogger(__name__)


class NotACollection(Exception):
    """The body of a list is not a list: HTML from a proxy, a truncated answer, a Table. The list failed."""


class Collection(Struct, Generic[T]):
    """One list body: its objects, what could not be read, its version, and where the next page begins."""

    objects: list[T]
    unreadable: list[Key]
    resource_version: str
    continue_: str


class _Metadata(Struct, rename="camel"):
    name: str = ""
    namespace: str | None = None
    resource_version: str = ""
    annotations: dict[str, str] | None = None


class _Head(Struct):
    kind: str = ""
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)


class _ListMetadata(Struct, rename="camel"):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class _List(Struct):
    kind: str
    metadata: _ListMetadata
    items: list[Raw] | None


class _Status(Struct):
    code: int = 0
    reason: str = ""
    message: str = ""
    details: Raw = Raw()


class _TypedEvent(Struct, Generic[S]):
    type: str
    object: S


class _Envelope(Struct):
    type: str
    object: Raw


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_head = msgspec.json.Decoder(_Head).decode
_decode_list = msgspec.json.Decoder(_List).decode
_decode_status = msgspec.json.Decoder(_Status).decode


class Decoder(Generic[T]):
    """Decodes the lists and watch lines of one kind into `type`, and runs the transform on each object."""

    def __init__(self, type: type[T], kind: str, transform: Callable[[T], T] | None = None) -> None:  # noqa: A002
        self._kind = kind
        self._marker = f'"kind":"{kind}"'.encode()
        self._decode_object = msgspec.json.Decoder(type).decode
        self._decode_event = msgspec.json.Decoder(_TypedEvent[type]).decode  # type: ignore[valid-type]
        self._transform = transform

    def line(self, line: bytes) -> Event:
        """The event that a watch line tells."""
        try:
            if self._marker in line[:KIND_WITHIN]:
                event = self._decode_event(line)
                if event.type in CHANGES:
                    return self._changed(event.type, event.object)
        except msgspec.ValidationError:
            pass  # a bookmark, or an object that does not fit: the slow way finds out
        except UNREADABLE as error:
            return Undecodable(str(error))
        return self._slow_line(line)

    async def collection(self, body: bytes) -> Collection[T]:
        """The objects of a list body; gives way to other tasks between slices. Raises NotACollection."""
        try:
            listed = _decode_list(body)
        except UNREADABLE as error:
            raise NotACollection(f"{error}: {body[:80]!r}") from error
        if not listed.kind.endswith("List"):
            raise NotACollection(f"a {listed.kind} instead of a list")
        objects: list[T] = []
        unreadable: list[Key] = []
        for count, raw in enumerate(listed.items or ()):
            if count % SLICE == SLICE - 1:
                await let_others_run()
            try:
                objects.append(self._transformed(self._decode_object(raw)))
            except msgspec.ValidationError as error:
                key = _key_in(raw)
                _log.error("%s %s in a list is left as it was: %s", self._kind, key, error)
                if key is not None:
                    unreadable.append(key)
        return Collection(objects, unreadable, listed.metadata.resource_version, listed.metadata.continue_)

    def _slow_line(self, line: bytes) -> Event:
        try:
            envelope = _decode_envelope(line)
        except UNREADABLE as error:
            return Undecodable(str(error))  # also JSON that is no event: who knows what the rest would be
        try:
            if envelope.type in CHANGES:
                return self._slow_change(envelope)
            if envelope.type == "BOOKMARK":
                metadata = _decode_head(envelope.object).metadata
                initial_end = (metadata.annotations or {}).get(INITIAL_END) == "true"
                return Bookmark(metadata.resource_version, initial_end)
            if envelope.type == "ERROR":
                status = _decode_status(envelope.object)
                fault = fault_of_status(status.code, status.reason, status.message, bytes(status.details))
                return ErrorEvent(fault, f"{status.code} {status.reason}: {status.message}")
        except msgspec.ValidationError as error:
            key = _key_in(envelope.object)
            deleted = envelope.type == "DELETED"
            return Skipped("unreadable object", f"{envelope.type} {key}: {error}", key, deleted)
        return Skipped("unknown event type", envelope.type[:40])

    def _slow_change(self, envelope: _Envelope) -> Event:
        kind = _decode_head(envelope.object).kind
        if kind != self._kind:
            return Skipped("other kind", f"{kind[:80]!r} instead of {self._kind!r}")
        return self._changed(envelope.type, self._decode_object(envelope.object))

    def _changed(self, type: str, obj: T) -> Event:  # noqa: A002 - Kubernetes' name
        version = obj.metadata.resource_version
        if not version or not obj.metadata.name:
            return Skipped("no name or version", f"{type} of {obj.metadata.name!r}")
        return Changed(type, self._transformed(obj), version)

    def _transformed(self, obj: T) -> T:
        if self._transform is None:
            return obj
        try:
            return self._transform(obj)
        except Exception:  # noqa: BLE001 - a larger object is better than none
            _log.exception("the transform failed for %s %s, which is kept whole", self._kind, key_of(obj))
            return obj


def _key_in(raw: Raw) -> Key | None:
    """The key of an object of which nothing else may be readable."""
    try:
        metadata = _decode_head(raw).metadata
    except msgspec.ValidationError:
        return None
    return Key(metadata.namespace or "", metadata.name) if metadata.name else None
