"""What executors' pods are called: a name says by itself which attempt it is for."""

from __future__ import annotations

from api.naming import child_name
from backends.contract import Attempt


def pod_name(attempt: Attempt) -> str:
    """The name of the pod that is made for an attempt. AlreadyExists proves an earlier create of it."""
    return child_name(attempt.owner.name, attempt.owner.uid, str(attempt.number))


def warm_pod_name(backend: str, uid: str, token: str) -> str:
    """The name of a pod that waits for work; `token` tells the pods of a pool apart."""
    return child_name(backend, uid, f"warm-{token}")
