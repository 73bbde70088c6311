"""What informers and queues tell about themselves; the controller turns it into metrics (G23, G31).

Protocols only, so that this package knows no metrics library. Calls come from the event loop, must not block
and must not raise. What a scrape can read as a property (ages, lengths, unfinished work) has no call here.
"""

from __future__ import annotations

from typing import Protocol


class QueueMetrics(Protocol):
    """Events in the life of the keys of one queue."""

    def added(self, priority: int) -> None:
        """A key was queued (merged adds count once)."""

    def depth_changed(self, priority: int, depth: int) -> None:
        """So many keys of this priority are ready to be worked on."""

    def waited(self, seconds: float) -> None:
        """A worker took a key that many seconds after it had become ready."""

    def worked(self, seconds: float) -> None:
        """A worker was done with a key after that many seconds."""

    def retried(self) -> None:
        """A key was queued again under its backoff."""


class InformerMetrics(Protocol):
    """Events in the life of one informer."""

    def listed(self, items: int, seconds: float) -> None:
        """The whole collection was read and put into the cache, decoding and handlers included."""

    def watch_opened(self, initial: bool) -> None:
        """The server accepted a watch; `initial` when it begins with the collection itself."""

    def watch_ended(self, reason: str) -> None:
        """An accepted watch ended: `closed` by the server, `cut`, `silent`, or `broken` by one of its lines."""

    def event_received(self, type: str) -> None:  # noqa: A002 - Kubernetes' name
        """One watch event came in: ADDED, MODIFIED, DELETED, BOOKMARK or ERROR."""

    def problem(self, reason: str) -> None:
        """Something was skipped or retried that ought not to happen.

        The reasons are few and fixed, fit for a label; the log has the details.
        """


class NoQueueMetrics:
    """Counts nothing."""

    def added(self, priority: int) -> None: ...
    def depth_changed(self, priority: int, depth: int) -> None: ...
    def waited(self, seconds: float) -> None: ...
    def worked(self, seconds: float) -> None: ...
    def retried(self) -> None: ...


class NoInformerMetrics:
    """Counts nothing."""

    def listed(self, items: int, seconds: float) -> None: ...
    def watch_opened(self, initial: bool) -> None: ...
    def watch_ended(self, reason: str) -> None: ...
    def event_received(self, type: str) -> None: ...  # noqa: A002 - as in the protocol
    def problem(self, reason: str) -> None: ...
