"""Names of the objects that the operator makes for a job: deterministic, unique to its UID, never too long.

A name is decided by the job alone, so that after a crash AlreadyExists proves an earlier create.
"""

from __future__ import annotations

import hashlib

OBJECT_NAME_LIMIT = 253
"""Longest name of a ConfigMap or a custom resource (a DNS subdomain, RFC 1123)."""

CHILD_NAME_LIMIT = 63
"""Longest name of a pod that is also usable as its host name and as a label value."""

FILE_NAME_LIMIT = 255
"""Longest name of a folder, in bytes, on every common file system (NAME_MAX)."""

_DIGEST_LENGTH = 10


def uid_digest(uid: str) -> str:
    """Ten hexadecimal digits that stand for a UID in a name."""
    return hashlib.sha256(uid.encode()).hexdigest()[:_DIGEST_LENGTH]


def child_name(owner: str, uid: str, suffix: str) -> str:
    """`<owner, cut>-<digest of uid>-<suffix>`, at most 63 characters, valid as a pod's name.

    Dots of the owner's name become dashes: a pod's name is its host name, where a dot would mean a domain.
    """
    tail = f"-{uid_digest(uid)}-{suffix}"
    head = owner.replace(".", "-")[: CHILD_NAME_LIMIT - len(tail)].rstrip("-")
    return head + tail


def output_name(job: str, uid: str, location: str | None) -> str:
    """The ConfigMap that a result goes to: `spec.output.location`, else `<job>-results`.

    A job whose own name leaves no room gets its name cut and a digest of its UID put in.
    """
    if location:
        return location
    name = f"{job}-results"
    if len(name) <= OBJECT_NAME_LIMIT:
        return name
    tail = f"-{uid_digest(uid)}-results"
    return job[: OBJECT_NAME_LIMIT - len(tail)].rstrip("-.") + tail


def receipt_name(uid: str) -> str:
    """`result-<uid>`: the receipt of a result on a volume; also where a result goes whose place is
    taken."""
    return f"result-{uid}"


def input_name(uid: str) -> str:
    """`input-<uid>`: the immutable copy of a source that was fetched from a URL or from Git."""
    return f"input-{uid}"


def volume_folder(job: str, uid: str) -> str:
    """`<job>-<uid>`: the folder that a job has to itself on a volume, its name cut to what file systems take."""
    return f"{job[: FILE_NAME_LIMIT - len(uid) - 1]}-{uid}"


def label_value(text: str) -> str:
    """`text` cut to what a label's value may hold (63 characters, ending in a letter or digit)."""
    return text[:63].rstrip("-._")
