"""How consumers learn of changes: handlers, and the order in which they are told (G14-G16).

Handlers are plain functions called in the event loop right after the cache and its indexes have changed, each
change to every handler before the next change. They see objects that all readers share, and must not change
them; they must be short, usually one `queue.add`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from informers.key import Key
from informers.objects import KubernetesObject
from informers.store import Change
from informers.timing import let_others_run

T = TypeVar("T", bound=KubernetesObject)
T_contra = TypeVar("T_contra", bound=KubernetesObject, contravariant=True)

SLICE = 256
"""Changes told between two turns of the event loop (H2)."""

_log = logging.getLogger(__name__)


class Tombstone(NamedTuple, Generic[T]):
    """A deletion that nobody saw: the object was missing from a relist. `last` may be out of date (G7)."""

    key: Key
    last: T


class Handler(Protocol[T_contra]):
    """What a consumer does about changes. An exception is logged and keeps nobody else from being told."""

    def on_add(self, obj: T_contra, initial: bool) -> None:
        """An object appeared; `initial` if it was there before the handler, or before the informer."""
        ...

    def on_update(self, old: T_contra, new: T_contra) -> None:
        """An object changed. With another UID it is another object (`is_replaced`, G8); a resync gives the
        same object twice (`old is new`)."""
        ...

    def on_delete(self, last: T_contra | Tombstone[T_contra]) -> None:
        """An object is gone, or left the selector (G19): its final state, or the last that was known."""
        ...


def last_state(deleted: T | Tombstone[T]) -> T:
    """The object, out of what `on_delete` gets."""
    return deleted.last if isinstance(deleted, Tombstone) else deleted


class Registration(Generic[T]):
    """A handler's place in an informer."""

    def __init__(self, handler: Handler[T], remove: Callable[[Registration[T]], None]) -> None:
        self.handler = handler
        self.active = True
        self.synced = False
        self._remove = remove

    def remove(self) -> None:
        """Ends the notifications at once."""
        self.active = False
        self._remove(self)


class Audience(Generic[T]):
    """All registered handlers, told one change after the other."""

    def __init__(self, name: str, report: Callable[[str], None]) -> None:
        self._name = name
        self._report = report
        self._registrations: tuple[Registration[T], ...] = ()

    def admit(self, handler: Handler[T], present: Iterable[T], synced: bool) -> Registration[T]:
        """Registers the handler and replays to it what is present."""
        registration = Registration(handler, self._dismiss)
        self._registrations = (*self._registrations, registration)
        for obj in present:
            self._call(registration, "on_add", obj, True)
        registration.synced = synced
        return registration

    def tell(self, change: Change[T], final: T | None = None) -> None:
        """Tells everybody of one change; `final` is a deleted object's last state as the server sent it."""
        for registration in self._registrations:
            self._tell_one(registration, change, final, initial=False)

    async def tell_all(self, changes: Sequence[Change[T]], initial: bool) -> None:
        """Tells of the differences that a relist made; deletions come as tombstones.

        A handler that is admitted on the way has had the new state as its replay and is not told again.
        """
        audience = self._registrations
        for count, change in enumerate(changes):
            if count % SLICE == SLICE - 1:
                await let_others_run()
            for registration in audience:
                self._tell_one(registration, change, None, initial)
        for registration in audience:
            registration.synced = True

    def _tell_one(
        self, registration: Registration[T], change: Change[T], final: T | None, initial: bool
    ) -> None:
        key, old, new = change
        if new is not None and old is not None:
            self._call(registration, "on_update", old, new)
        elif new is not None:
            self._call(registration, "on_add", new, initial)
        elif final is not None:
            self._call(registration, "on_delete", final)
        elif old is not None:
            self._call(registration, "on_delete", Tombstone(key, old))

    def _call(self, registration: Registration[T], method: str, *arguments: Any) -> None:
        if not registration.active:
            return
        try:
            getattr(registration.handler, method)(*arguments)
        except Exception:  # noqa: BLE001 - one consumer's error must keep nobody else from being told
            _log.exception("%s: %s of %r failed", self._name, method, registration.handler)
            self._report("handler")

    def _dismiss(self, registration: Registration[T]) -> None:
        self._registrations = tuple(other for other in self._registrations if other is not registration)
