"""`up`, `status` and `down`, as a user types them."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import msgspec
import psutil
import pytest
from rich.console import Console

from localcluster.background import up
from localcluster.home import AlreadyRunning, Home, State
from localcluster.kubectl import Kubectl

pytestmark = pytest.mark.node
ROOT = Path(__file__).parents[2]


def localcluster(home: Home, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "localcluster", "--folder", home.folder, *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def family(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def daemons_of(up: psutil.Process) -> list[psutil.Process]:
    """What `up` has started in the background so far."""
    found = []
    for child in up.children():
        with contextlib.suppress(psutil.Error):  # it had others, which have ended by now
            if "localcluster.daemon" in child.cmdline():
                found.append(child)
    return found


async def uids(kubectl: Kubectl, names: list[str]) -> set[str]:
    """Of the operator's pods that are there."""
    options = ("--namespace=qiskit-operator", "--ignore-not-found", "--output=jsonpath={..metadata.uid}")
    return set((await kubectl("get", "pod", *options, *names)).split())


def until_ended(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=90)
    assert not alive


@pytest.mark.timeout(600)
async def test_up_runs_the_operator_until_down_and_recovers_from_a_kill_of_its_process(
    tmp_path: Path,
) -> None:
    home = Home(tmp_path / "home")
    try:
        started = localcluster(home, "up")
        assert started.returncode == 0, started.stdout + started.stderr
        assert f"export KUBECONFIG={home.kubeconfig}" in started.stdout
        assert "qiskit-operator-controller" in localcluster(home, "status").stdout
        again = localcluster(home, "up")
        assert (again.returncode, "running already; `make down` ends it" in again.stdout) == (0, True)
        assert f"export KUBECONFIG={home.kubeconfig}" in again.stdout

        first = home.owner()
        assert first is not None
        processes = family(first)
        assert len(processes) > 8
        os.kill(first, signal.SIGKILL)
        until_ended(processes)
        assert localcluster(home, "status").returncode == 1

        assert localcluster(home, "up").returncode == 0
        second = home.owner()
        assert second not in (None, first)
        state = home.state()
        assert state is not None
        kubectl = Kubectl(Path(state.kubectl), home.kubeconfig)
        pods = await kubectl("get", "pods", "--namespace=qiskit-operator", "--no-headers")
        assert [line.split()[2] for line in pods.splitlines()] == ["Running", "Running"]

        # As people start something anew. Wherever it was started, the demo needs both.
        names = ["qiskit-operator-controller", "qiskit-operator-validation"]
        before = await uids(kubectl, names)
        await kubectl("delete", "pod", "--namespace=qiskit-operator", "--wait=false", *names)
        async with asyncio.timeout(120):
            while len(await uids(kubectl, names) - before) < 2:  # noqa: ASYNC110 - others make them
                await asyncio.sleep(0.2)

        # The demo takes a cluster that it is pointed to, and takes its jobs away again.
        demo = localcluster(home, "demo", "--kubeconfig", str(home.kubeconfig), "bell")
        assert demo.returncode == 0, demo.stdout + demo.stderr
        assert "the qubits agree" in demo.stdout
        async with asyncio.timeout(60):
            while await kubectl("get", "qjob", "-A", "--output=name"):  # noqa: ASYNC110 - others remove them
                await asyncio.sleep(0.2)

        assert second is not None
        processes = family(second)
        assert localcluster(home, "down").returncode == 0
        until_ended(processes)
        assert not home.folder.exists()
    finally:
        localcluster(home, "down")


def test_a_folder_has_one_owner_at_a_time(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    assert home.owner() is None
    with home.take():
        assert home.owner() == os.getpid()
        with pytest.raises(AlreadyRunning):
            home.take()
    assert home.owner() is None


@pytest.mark.timeout(300)
def test_an_interrupt_in_the_moment_in_which_the_process_starts_ends_it_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the command has noted down whom it has started."""
    started: list[subprocess.Popen[bytes]] = []
    begin = subprocess.Popen

    def begin_and_interrupt(*args: Any, **options: Any) -> subprocess.Popen[bytes]:
        process = begin(*args, **options)
        if "localcluster.daemon" in args[0]:
            started.append(process)
            signal.raise_signal(signal.SIGINT)
        return process

    monkeypatch.setattr("localcluster.background.subprocess.Popen", begin_and_interrupt)
    home = Home(tmp_path / "home")
    with pytest.raises(KeyboardInterrupt):
        up(home, Console(quiet=True))
    (process,) = started
    try:
        process.wait(timeout=90)
    finally:
        process.terminate()  # where this fails, a whole cluster would be left
    assert home.owner() is None
    assert not home.folder.exists()


@pytest.mark.timeout(300)
def test_an_interrupted_up_leaves_nothing_running_however_early(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    command = [sys.executable, "-m", "localcluster", "--folder", str(home.folder), "up"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as up:
        process = psutil.Process(up.pid)
        while not (begun := daemons_of(process)):
            assert up.poll() is None
            time.sleep(0.002)
        assert home.owner() is not None
        up.send_signal(signal.SIGINT)
        said, _ = up.communicate(timeout=120)
    try:
        assert (up.returncode, "nothing is left running" in said) == (130, True)
        until_ended(begun)
        assert not home.folder.exists()
    finally:
        localcluster(home, "down")  # where this fails, a whole cluster would be left


@pytest.fixture
def endless_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An etcd that does nothing: the API server waits for it, and the start with it."""
    pretend_etcd(tmp_path / "assets", "exec sleep 600", monkeypatch)


def pretend_etcd(assets: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = assets / "etcd"
    fake.parent.mkdir()
    fake.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo "etcd Version: 3.6.16" && exit\n{script}\n')
    fake.chmod(0o755)
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(assets))


def until_said(stream: IO[str] | None, text: str) -> None:
    assert stream is not None
    said = []
    for line in stream:
        said.append(line)
        if text in line:
            return
    pytest.fail(f"not said: {text}, only {said}")


@pytest.mark.timeout(300)
def test_a_start_that_is_under_way_ends_when_it_is_asked_to(tmp_path: Path, endless_start: None) -> None:
    home = Home(tmp_path / "home")
    with home.take() as lock:
        command = [sys.executable, "-m", "localcluster.daemon", str(home.folder), str(lock.fileno())]
        daemon = subprocess.Popen(
            command, cwd=ROOT, pass_fds=(lock.fileno(),), stderr=subprocess.PIPE, text=True
        )
    with daemon:
        try:
            until_said(daemon.stderr, "Starting etcd")
            etcd = home.cluster / "logs" / "etcd.log"
            while not etcd.exists():
                assert daemon.poll() is None
                time.sleep(0.01)
            processes = family(daemon.pid)[1:]
            daemon.terminate()
            # A start that had run to its end would have failed.
            assert daemon.wait(250) == 0
        finally:
            daemon.kill()
    until_ended(processes)


@pytest.mark.timeout(300)
def test_further_interrupts_are_told_that_it_still_stops(tmp_path: Path, endless_start: None) -> None:
    home = Home(tmp_path / "home")
    command = [sys.executable, "-m", "localcluster", "--folder", str(home.folder), "up"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as up:
        try:
            until_said(up.stdout, "Starting etcd")
            (daemon,) = daemons_of(psutil.Process(up.pid))
            daemon.suspend()  # until told otherwise it hears nothing
            up.send_signal(signal.SIGINT)
            until_said(up.stderr, "Stopping ...")
            for _ in range(2):
                up.send_signal(signal.SIGINT)
                until_said(up.stderr, "Still stopping ...")
            assert home.owner() == daemon.pid
            daemon.resume()
            said, _ = up.communicate(timeout=120)
            assert (up.returncode, "nothing is left running" in said) == (130, True)
            until_ended([daemon])
        finally:
            up.kill()
            localcluster(home, "down")  # where this fails, a whole cluster would be left


def test_an_interrupted_down_says_what_is_still_there(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); input()"
    with (
        home.take() as lock,
        subprocess.Popen(
            [sys.executable, "-c", deaf], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as owner,
    ):
        until_said(owner.stdout, "deaf")
        home.belongs_to(owner.pid, lock)
        command = [sys.executable, "-m", "localcluster", "--folder", str(home.folder), "down"]
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as down:
            until_said(down.stderr, "Stopping ...")
            down.send_signal(signal.SIGINT)
            said, _ = down.communicate(timeout=120)
        assert down.returncode == 130
        assert said == f"Interrupted; the cluster in {home.folder} has not ended, `make down` ends it.\n"


@contextlib.contextmanager
def second_up(home: Home) -> Iterator[subprocess.Popen[str]]:
    """One that has begun to wait for the first."""
    command = [sys.executable, "-m", "localcluster", "--folder", str(home.folder), "up"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            until_said(process.stdout, "It is being started already")
            yield process
        finally:
            process.kill()


def test_a_second_up_waits_for_the_first_and_leaves_it_alone(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    with home.take(), second_up(home) as second:
        home.log.write_text("of the first\n")
        until_said(second.stdout, "of the first")
        state = State(server="https://127.0.0.1:1", kubectl="/usr/bin/kubectl", metrics="", started="")
        home.state_file.write_bytes(msgspec.json.encode(state))
        said, _ = second.communicate(timeout=90)
        assert (second.returncode, f"export KUBECONFIG={home.kubeconfig}" in said) == (0, True)
        assert home.log.read_text() == "of the first\n"
        assert home.owner() == os.getpid()


def test_a_second_up_fails_with_the_first(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    lock = home.take()
    with lock, second_up(home) as second:
        lock.close()
        said, _ = second.communicate(timeout=90)
    assert (second.returncode, "That start has ended without a cluster" in said) == (1, True)


def test_an_interrupted_second_up_says_that_the_first_is_still_there(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    with home.take(), second_up(home) as second:
        second.send_signal(signal.SIGINT)
        said, _ = second.communicate(timeout=90)
        assert (second.returncode, "has not ended, `make down` ends it" in said) == (130, True)
        assert home.owner() == os.getpid()


def test_what_is_printed_for_the_shell_can_be_pasted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path / "my [red] path's (dir)" / "home")
    kubectl = tmp_path / "other people's tools" / "kubectl"
    kubectl.parent.mkdir()
    kubectl.write_text('#!/bin/sh\necho "$KUBECONFIG"\n')
    kubectl.chmod(0o755)
    state = State(server="https://127.0.0.1:1", kubectl=str(kubectl), metrics="", started="")

    def become_ready(_: float) -> None:
        home.state_file.write_bytes(msgspec.json.encode(state))

    monkeypatch.setattr("localcluster.background.shutil.which", lambda name: None)
    monkeypatch.setattr("localcluster.background.time.sleep", become_ready)
    for wanted in (2, 1):  # of a cluster that has become ready, and of one that runs already
        said = io.StringIO()
        with home.take():
            assert up(home, Console(file=said, soft_wrap=True)) == 0
        lines = [each for each in said.getvalue().splitlines() if "export" in each or "alias" in each]
        assert len(lines) == wanted
        lines.append("kubectl" if wanted == 2 else 'echo "$KUBECONFIG"')
        shell = subprocess.run(
            ["/bin/sh"], input="\n".join(lines), capture_output=True, text=True, check=True
        )
        assert shell.stdout == f"{home.kubeconfig}\n"


@pytest.mark.parametrize("command", ["up", "down", "demo"])
def test_ctrl_c_before_all_is_imported_is_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    interrupting = tmp_path / "rich.py"
    interrupting.write_text("import signal; signal.raise_signal(signal.SIGINT)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    done = localcluster(Home(tmp_path / "home"), command)
    assert (done.returncode, done.stdout, done.stderr) == (130, "Interrupted.\n", "")


def test_down_with_nothing_running_says_so(tmp_path: Path) -> None:
    done = localcluster(Home(tmp_path / "home"), "down")
    assert (done.returncode, done.stdout.strip()) == (0, "There was nothing to end.")


def test_a_failed_start_says_why_and_leaves_nothing_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # An etcd that is none: the API server finds nobody and the start fails.
    pretend_etcd(tmp_path / "assets", "echo out of order; exit 3", monkeypatch)
    home = Home(tmp_path / "home")
    failed = localcluster(home, "up")
    assert failed.returncode == 1
    assert "etcd ended with 3" in failed.stdout
    assert "out of order" in failed.stdout
    assert home.owner() is None
