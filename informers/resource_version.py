"""Resource versions, compared as integers where they are integers (G4).

Kubernetes promises that order since 1.35; every release before it that stores in etcd keeps it too. Where a
version is no integer nothing is concluded from it.
"""

from __future__ import annotations

UNSET = ("", "0")
"""Versions that name no moment: "" asks for the latest state, "0" for any state (G3)."""


def is_older(version: str, than: str) -> bool:
    """Whether the version is certainly the smaller one."""
    if not (version.isdecimal() and than.isdecimal()):
        return False
    return (len(version), version) < (len(than), than)  # no leading zeros: length first, then digits


def has_reached(version: str, goal: str) -> bool:
    """Whether the version is certainly the goal or a later one."""
    if version == goal:
        return True
    return version.isdecimal() and goal.isdecimal() and is_older(goal, version)
