"""Putting all layers in place, in the one order that works."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from sandbox import kernel
from sandbox.landlock import python_files, restrict_files
from sandbox.policy import Layer, SandboxPolicy, SandboxUnavailable
from sandbox.privileges import give_up_privileges
from sandbox.rlimits import apply_rlimits
from sandbox.seccomp import filter_system_calls


def enter(policy: SandboxPolicy, python: Iterable[Path] | None = None) -> frozenset[Layer]:
    """Shut this process in, for good, and tell which layers hold. Call it in the child, before user code.

    `python` is `python_files()` where the caller has it at hand. Raises SandboxUnavailable for the first
    required layer that the kernel refuses; then the process must end without running user code. Raises
    RuntimeError if the process has more than one thread, since Landlock would bind the calling one only.
    """
    count = kernel.threads()
    if count != 1:
        raise RuntimeError(f"the sandbox must be entered with one thread, this process has {count}")
    readable = (*(python_files() if python is None else python), *policy.readable)
    # rlimits read /proc, which Landlock closes; Landlock and seccomp need no_new_privs; seccomp closes the
    # door through which the others come in.
    steps: tuple[tuple[Layer, Callable[[], None]], ...] = (
        (Layer.RLIMITS, lambda: apply_rlimits(policy)),
        (Layer.NO_NEW_PRIVS, give_up_privileges),
        (Layer.LANDLOCK, lambda: restrict_files(readable, policy.writable)),
        (Layer.SECCOMP, filter_system_calls),
    )
    active = set()
    for layer, put_in_place in steps:
        try:
            put_in_place()
        except (OSError, ValueError, KeyError) as error:
            if layer not in policy.relax:
                raise SandboxUnavailable(layer, f"{error}", policy.setting) from error
        else:
            active.add(layer)
    return frozenset(active)
