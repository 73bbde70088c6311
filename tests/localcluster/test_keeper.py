"""Child processes that the keeper owns end with it, and it says how."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from localcluster.isolation import Isolation
from localcluster.keeping import Child, Keeper, NotStarted


async def start(keeper: Keeper, folder: Path, code: str) -> Child:
    """A child that runs Python code, its output in `folder/log`."""
    return await keeper.run([sys.executable, "-c", code], log=folder / "log")


async def until_logged(folder: Path) -> str:
    async with asyncio.timeout(90):
        while not (text := (folder / "log").read_text()):  # noqa: ASYNC110 - the child writes it
            await asyncio.sleep(0.01)
    return text


async def until_ended(pid: int) -> None:
    async with asyncio.timeout(90):
        while psutil.pid_exists(pid):  # noqa: ASYNC110 - what is waited for happens in other processes
            await asyncio.sleep(0.01)


async def test_a_child_tells_its_exit_code(tmp_path: Path) -> None:
    async with Keeper.start() as keeper:
        child = await start(keeper, tmp_path, "print('out'); raise SystemExit(7)")
        assert await child.wait() == 7
        assert not child.running
        child.signal(signal.SIGTERM)  # to nobody
    assert (tmp_path / "log").read_text() == "out\n"


async def test_a_child_tells_the_signal_that_ended_it(tmp_path: Path) -> None:
    async with Keeper.start() as keeper:
        child = await start(keeper, tmp_path, "import time; print('up', flush=True); time.sleep(600)")
        await until_logged(tmp_path)
        child.signal(signal.SIGTERM)
        assert await child.wait() == -signal.SIGTERM


async def test_a_program_that_is_not_there_is_not_started(tmp_path: Path) -> None:
    async with Keeper.start() as keeper:
        with pytest.raises(NotStarted, match="No such file"):
            await keeper.run(["/no/such/program"], log=tmp_path / "log")
        assert await (await start(keeper, tmp_path, "")).wait() == 0


async def test_isolation_that_cannot_be_had_starts_nothing(tmp_path: Path) -> None:
    isolation = Isolation(namespaces=True, expose=[str(tmp_path / "missing")])
    async with Keeper.start() as keeper:
        with pytest.raises(NotStarted):
            await keeper.run(["/bin/true"], log=tmp_path / "log", isolation=isolation)


async def test_leaving_ends_children_and_those_that_they_left_behind(tmp_path: Path) -> None:
    folder = tmp_path / "removed"
    folder.mkdir()
    deserter = (
        "import os, time\n"
        "if os.fork(): time.sleep(600)\n"
        "os.setsid(); print(os.getpid(), flush=True); time.sleep(600)"
    )
    async with Keeper.start([folder]) as keeper:
        child = await start(keeper, tmp_path, deserter)
        left_behind = int(await until_logged(tmp_path))
        assert psutil.pid_exists(left_behind)
    assert not psutil.pid_exists(child.pid)
    assert not psutil.pid_exists(left_behind)
    assert not folder.exists()


async def test_leaving_ends_also_what_a_child_that_has_ended_left_behind(tmp_path: Path) -> None:
    deserter = (  # its group goes with it, so it waits until the other one has left that
        "import os, time\n"
        "told, tell = os.pipe()\n"
        "if os.fork(): os.read(told, 1); raise SystemExit\n"
        "os.setsid(); print(os.getpid(), flush=True); os.write(tell, b'!'); time.sleep(600)"
    )
    async with Keeper.start() as keeper:
        child = await start(keeper, tmp_path, deserter)
        left_behind = int(await until_logged(tmp_path))
        assert await child.wait() == 0
        assert psutil.pid_exists(left_behind)
    assert not psutil.pid_exists(left_behind)


async def test_a_start_that_is_cancelled_removes_what_the_keeper_would_have(tmp_path: Path) -> None:
    folder = tmp_path / "removed"
    folder.mkdir()
    starting = asyncio.create_task(Keeper.start([folder]).__aenter__())
    await asyncio.sleep(0)  # it begins
    assert folder.exists()
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert not folder.exists()


async def test_a_killed_keeper_takes_its_children_with_it(tmp_path: Path) -> None:
    async with Keeper.start() as keeper:
        child = await start(
            keeper, tmp_path, "import os, time; print(os.getppid(), flush=True); time.sleep(600)"
        )
        os.kill(int(await until_logged(tmp_path)), signal.SIGKILL)
        await until_ended(child.pid)
        assert await child.wait() == -signal.SIGKILL
        with pytest.raises(NotStarted, match="the keeper has ended"):
            await start(keeper, tmp_path, "")
