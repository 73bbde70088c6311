"""The life of one child, from the fork to its last system call. It never returns to the zygote's code."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from sandbox.frames import MESSAGE, QUESTION, read_frame, write_frame
from sandbox.layers import enter
from sandbox.policy import SandboxPolicy, SandboxUnavailable
from sandbox.privileges import die_with_parent
from sandbox.protocol import Descriptors, Entered, Unavailable, encode

Send = Callable[[bytes], None]
"""Sends one message to the parent; blocks while the parent is behind."""


class Channel:
    """A child's way to its parent. Being called, it is a `Send`."""

    def __call__(self, message: bytes) -> None:
        """Send one message."""
        write_frame(_FRAMES, MESSAGE + message)

    def ask(self, question: bytes) -> bytes:
        """Send a question and wait for the answer. A parent that gives no answers ends the child."""
        write_frame(_FRAMES, QUESTION + question)
        return read_frame(_FRAMES)


Entry = Callable[[bytes, Channel], None]
"""What a child runs: takes the payload and its channel, of which most need no more than `Send`."""

EXIT_OUT_OF_MEMORY = 199
EXIT_SANDBOX_UNAVAILABLE = 198

_FRAMES = 3
_FIRST_UNUSED = 4


def live(
    policy: SandboxPolicy, descriptors: Descriptors, entry: Entry, zygote: int, python: Iterable[Path]
) -> NoReturn:
    """Shut this freshly forked process in, run `entry`, and end."""
    code = 1
    try:
        die_with_parent(zygote)
        os.setpgid(0, 0)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        payload = _take_over(descriptors)
        _settle(policy.writable)
        _renew_randomness()
        try:
            layers = enter(policy, python)
        except SandboxUnavailable as refusal:
            write_frame(_FRAMES, encode(Unavailable(refusal.layer, refusal.cause)))
            os._exit(EXIT_SANDBOX_UNAVAILABLE)
        write_frame(_FRAMES, encode(Entered(layers)))
        code = _run(entry, payload)
    except MemoryError:  # so little was granted that not even the greeting found room
        code = EXIT_OUT_OF_MEMORY
    except BaseException:  # noqa: BLE001 - nothing may unwind into the zygote's frames
        traceback.print_exc()
    finally:
        os._exit(code)  # runs no exit handler: those of the zygote are not ours, others are the user's


def _run(entry: Entry, payload: bytes) -> int:
    try:
        entry(payload, Channel())
        code = 0
    except MemoryError:
        return EXIT_OUT_OF_MEMORY
    except SystemExit as request:
        code = request.code if isinstance(request.code, int) else 0 if request.code is None else 1
    except BaseException:  # noqa: BLE001 - the outermost frame: the user reads it on stderr
        traceback.print_exc()
        code = 1
    for stream in (sys.stdout, sys.stderr):
        with suppress(
            AttributeError, ValueError, OSError
        ):  # the code may have closed it or put None in its place
            stream.flush()
    return code & 0xFF


def _take_over(descriptors: Descriptors) -> bytes:
    """Put the descriptors in their places, close all others, and read the payload."""
    with open(descriptors.payload, "rb") as source:
        payload = source.read()
    os.dup2(descriptors.stdout, 1)
    os.dup2(descriptors.stderr, 2)
    # The frames' descriptor may lie below its place or in it, those of other children above: all above goes.
    os.dup2(descriptors.frames, _FRAMES)
    os.closerange(_FIRST_UNUSED, os.sysconf("SC_OPEN_MAX"))
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # so that a killed child was heard
    return payload


def _settle(writable: tuple[Path, ...]) -> None:
    home = str(writable[0]) if writable else "/"
    os.chdir(home)
    os.environ["HOME"] = os.environ["TMPDIR"] = home
    tempfile.tempdir = None  # forget what the zygote may have looked up


def _renew_randomness() -> None:
    """Seed numpy's global generator anew: all children would otherwise draw the zygote's numbers.

    Python's own `random` does this by itself after a fork.
    """
    random = sys.modules.get("numpy.random")
    if random is not None:
        random.seed()
