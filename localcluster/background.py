"""`up`, `down` and `status`: a cluster in the background, and what can be said of it from outside."""

from __future__ import annotations

import asyncio
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from shlex import quote
from typing import IO

from rich.console import Console
from rich.markup import escape

from localcluster.binaries import ensure_binaries
from localcluster.home import AlreadyRunning, Home, State
from localcluster.kubectl import Kubectl, KubectlFailed
from localcluster.platform import require_linux
from localcluster.progress import step, to_stderr

_STOP_SECONDS = 30.0
_POLL_SECONDS = 0.1
_ROOT = Path(__file__).parent.parent


def up(home: Home, console: Console) -> int:
    """Start a cluster that outlives this command; the exit code. Interrupted, it takes back what it began."""
    require_linux()
    ensure_binaries(report=to_stderr)
    try:
        lock = home.take()
    except AlreadyRunning:
        return _join(home, console)
    try:
        with lock, _uninterrupted():
            process = _begin(home, lock)
        ready = _follow(home, lambda: process.poll() is not None, console)
    except KeyboardInterrupt:
        with _uninterrupted("Still stopping ..."):
            down(home, console)
        raise
    if not ready:
        console.print(f"[red]The cluster did not start.[/] The whole story is in {escape(str(home.log))}")
        return 1
    _say_ready(ready, home, console)
    return 0


def _join(home: Home, console: Console) -> int:
    """What another `up` has started, or is starting: it is waited for, and left alone."""
    if home.state() is not None:
        console.print(f"It is running already; `{_command('down')}` ends it.")
        console.print(f"  {_export(home)}", markup=False)
        return 0
    console.print(f"It is being started already; `{_command('down')}` ends it. Waiting until it is ready ...")
    ready = _follow(home, lambda: not home.taken(), console)
    if not ready:
        console.print("[red]That start has ended without a cluster.[/]")
        return 1
    _say_ready(ready, home, console)
    return 0


def _say_ready(state: State, home: Home, console: Console) -> None:
    console.print("[green]Ready.[/] Now:")
    console.print(f"  {_export(home)}", markup=False)
    if shutil.which("kubectl") is None:
        # Quoted twice: an alias is read by the shell when it is made, and again when it is used.
        console.print(f"  alias kubectl={quote(quote(state.kubectl))}", markup=False)
    console.print("  kubectl apply -f examples/bell.yaml && kubectl wait qjob/bell --for=condition=Complete")


def down(home: Home, console: Console) -> int:
    """End the cluster and remove all of it; the exit code."""
    owner = home.owner()
    if owner is not None and not _end(owner):
        console.print(f"[red]Process {owner} does not end[/], not even by SIGKILL. Nothing was removed.")
        return 1
    there = home.folder.exists()
    shutil.rmtree(home.folder, ignore_errors=True)
    console.print("Ended and removed." if there else "There was nothing to end.")
    return 0


async def status(home: Home, console: Console) -> int:
    """Say what runs; the exit code is 0 if a cluster does."""
    state = home.state()
    if home.owner() is None or state is None:
        console.print(f"No cluster runs in {home.folder}. `{_command('up')}` starts one.", markup=False)
        return 1
    console.print(f"Running since {state.started} at {state.server}.")
    console.print(f"  {_export(home)}", markup=False)
    console.print(f"Metrics of the operator: {state.metrics}")
    if state.shortcoming:
        console.print(f"Note: {state.shortcoming}.")
    kubectl = Kubectl(Path(state.kubectl), home.kubeconfig)
    questions = (("get", "nodes"), ("get", "pods", "--all-namespaces"), ("get", "qjob", "--all-namespaces"))
    try:
        answers = await asyncio.gather(*(kubectl(*question) for question in questions))
    except KubectlFailed as error:
        console.print(f"[red]The API server does not answer:[/] {escape(str(error))}")
        return 1
    for answer in answers:
        console.print(answer.rstrip() or "(no jobs yet)", highlight=False, markup=False)
    return 0


@contextmanager
def _uninterrupted(answer: str = "") -> Iterator[None]:
    """Keep Ctrl-C back until the block is over, saying `answer` meanwhile.

    In the block something begins or ends of which whoever interrupts is told afterwards how it stands.
    """
    interrupted = False

    def remember(*_: object) -> None:
        nonlocal interrupted
        interrupted = True
        if answer:
            # Past the buffer, in whose use this may have come.
            os.write(2, f"{answer}\n".encode())

    # A handler, unlike a mask, is nothing that the processes which are started meanwhile inherit.
    before = signal.signal(signal.SIGINT, remember)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if interrupted and before is not signal.SIG_IGN:
        raise KeyboardInterrupt


def _begin(home: Home, lock: IO[str]) -> subprocess.Popen[bytes]:
    """The process that keeps the cluster; the folder is its own from here on."""
    home.clear()
    with home.log.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "localcluster.daemon", str(home.folder), str(lock.fileno())],
            cwd=_ROOT,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            # The folder is the new process's from its first moment on: `down` finds it however early.
            pass_fds=(lock.fileno(),),
            # The terminal that this was typed into may close.
            start_new_session=True,
        )
    home.belongs_to(process.pid, lock)
    return process


def _follow(home: Home, over: Callable[[], bool], console: Console) -> State | None:
    """Repeat what the process in the background says until the cluster is ready, or the process is `over` (None)."""
    with ExitStack() as stack:
        log: IO[str] | None = None
        while True:
            # In this order: what is said before the end has been read after it.
            ended, ready = over(), home.state()
            with suppress(FileNotFoundError):  # of somebody else's start it may not be there yet
                log = log or stack.enter_context(home.log.open())
            for line in log or ():
                console.print(line.rstrip(), style="dim", highlight=False, markup=False)
            if ready or ended:
                return ready
            time.sleep(_POLL_SECONDS)


def _end(pid: int) -> bool:
    """SIGTERM, and SIGKILL if that is not enough; whether it has ended. What a killed one leaves, its keepers end."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        with step(to_stderr, "Stopping"):
            for number in (signal.SIGTERM, signal.SIGKILL):
                signal.pidfd_send_signal(process, number)
                if select.select([process], [], [], _STOP_SECONDS)[0]:
                    return True
        return False
    except ProcessLookupError:
        return True
    finally:
        os.close(process)


def _export(home: Home) -> str:
    return f"export KUBECONFIG={quote(str(home.kubeconfig))}"


def _command(name: str) -> str:
    return f"make {name}"
