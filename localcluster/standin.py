"""The process between the keeper and a container that has a user namespace of its own.

Without root, a process namespace comes with a user namespace, and who has entered that cannot leave it again. So
a child enters both, forks the container's first process and stays behind in its place: signals are passed on
to the container, and its end becomes one's own.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import signal
from typing import NoReturn

_PR_SET_PDEATHSIG = 1
_FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def stand_in_for(pid: int) -> NoReturn:
    """Be the process `pid` to the outside until it ends, and end like it."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # The keeper waits for the end of a pipe that the container closes when its program is executed.
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))

    def forward(number: int, _: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)

    for number in _FORWARDED:
        signal.signal(number, forward)
    _, status = os.waitpid(pid, 0)
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if -code not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code)
