"""What the service and its sandboxed children say to each other, in MessagePack.

The service believes nothing that comes back beyond its type and its bounds: user code can write to the same
descriptor as the code that looks at it.
"""

from __future__ import annotations

import msgspec

from messages.validation import GitReference, ValidateRequest


class Build(msgspec.Struct, frozen=True, tag=True):
    """Build the circuits of a source and describe them. The child sends a `ValidateResponse`."""

    request: ValidateRequest


class Checkout(msgspec.Struct, frozen=True, tag=True):
    """Fetch one file of a Git repository. The child asks `HttpQuestion`s and sends a `File` or `NoFile`."""

    reference: GitReference
    file_bytes: int


class Probe(msgspec.Struct, frozen=True, tag=True):
    """Do nothing, in the sandbox. The child sends nothing."""


Task = Build | Checkout | Probe

MOST_WARNINGS = 10
"""Warnings that a child sends of one source."""

REFERENCES = "info/refs?service=git-upload-pack"
UPLOAD_PACK = "git-upload-pack"
"""Where a Git service has its two doors, from `service_url`."""


class HttpQuestion(msgspec.Struct, frozen=True):
    """A request that the service is to make for the child. `service_url` is the repository's, as last redirected.

    `body` is `None` for the list of references, and what is posted to git-upload-pack otherwise.
    """

    service_url: str
    git_protocol: str | None
    body: bytes | None


class HttpAnswer(msgspec.Struct, frozen=True):
    """What came. `redirected_to` is the URL that answered in the end, empty if it is the one that was asked."""

    redirected_to: str
    content_type: str
    content: bytes


class File(msgspec.Struct, frozen=True, tag=True):
    """The file, and the commit it was read at."""

    content: bytes
    commit: str


class NoFile(msgspec.Struct, frozen=True, tag=True):
    """Why there is none; `reason` and `retryable` as in `Fault`."""

    reason: str
    message: str
    retryable: bool


def encode(message: msgspec.Struct) -> bytes:
    """One message as it travels."""
    return msgspec.msgpack.encode(message)
