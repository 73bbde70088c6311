"""What a setting asks for and the machine does not give: an error that names the setting, not only the system call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class CannotHave(Exception):
    """The process cannot have what its settings ask for; the message names them and the remedy."""


@contextmanager
def asked_for_by(settings: str, remedy: str) -> Iterator[None]:
    """Turn what the operating system refuses inside the block into CannotHave."""
    try:
        yield
    except OSError as error:
        raise CannotHave(f"{settings}: {error.strerror or error}; {remedy}") from error
