"""What a sandboxed child may use, and what happens when the kernel cannot hold it to that."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Layer(StrEnum):
    """The four layers between user code and the machine. All are required unless relaxed by name."""

    NO_NEW_PRIVS = "no_new_privs"
    """No set-uid program or file capability gives rights back; every capability is dropped."""
    RLIMITS = "rlimits"
    """Memory, CPU time, file size and open files are bounded by the kernel; no core dumps."""
    LANDLOCK = "landlock"
    """Only Python's own files can be read, only the named folders written; no TCP, no signals out."""
    SECCOMP = "seccomp"
    """Only the system calls that computing needs; no new process, program, socket or foreign signal."""


class SandboxUnavailable(Exception):
    """A required layer cannot be put in place, so the user's code was not run.

    Report it as it stands: the message names the layer, the cause, and the setting that relaxes it.
    """

    def __init__(self, layer: Layer, cause: str, setting: str) -> None:
        super().__init__(
            f"the sandbox layer {layer} is not available here: {cause}. "
            f"To run without it, name it in {setting} (e.g. {setting}={layer})"
        )
        self.layer = layer
        self.cause = cause
        self.setting = setting


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxPolicy:
    """The bounds of one child. `None` leaves that one bound to the pod.

    The interpreter, its libraries and the packages that the zygote has loaded can always be read;
    `readable` adds to that. `writable` folders can be read and written; the first one becomes the child's
    working directory and home, and without any the child can write nowhere.

    `memory_bytes` is what the child may allocate beyond what it inherits from the zygote (about 90 MB with
    qiskit, shared between the children). `cpu_seconds` is CPU time over all threads, `file_size_bytes` the
    size of any one file. A layer in `relax` is still applied where the kernel can; its absence is no error.
    `setting` is what `SandboxUnavailable` tells the reader to change.
    """

    writable: tuple[Path, ...] = ()
    readable: tuple[Path, ...] = ()
    memory_bytes: int | None = None
    cpu_seconds: int | None = None
    file_size_bytes: int = 64 << 20
    open_files: int = 64
    relax: frozenset[Layer] = frozenset()
    setting: str = "EXECUTOR_SANDBOX"


def relaxed_layers(text: str) -> frozenset[Layer]:
    """Read a sandbox setting: `required` (or nothing) relaxes no layer, else a comma list of layers.

    Raises ValueError for a name that is no layer, so that a typing error does not pass for a choice.
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if names in ([], ["required"]):
        return frozenset()
    known = ", ".join(Layer)
    layers = set()
    for name in names:
        if name not in Layer.__members__.values():
            raise ValueError(f"{name!r} is no sandbox layer; expected 'required' or a list of: {known}")
        layers.add(Layer(name))
    return frozenset(layers)
