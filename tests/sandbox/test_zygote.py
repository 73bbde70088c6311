"""The zygote as a parent sees it: many children, its death, its end, and what cancelling does."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from sandbox import Exited, Outcome, SandboxPolicy, Zygote, ZygoteFailed
from tests.sandbox.conftest import HERE, LONG, ROOT, Run


def alive(pid: int) -> bool:
    """Whether a process runs (a zombie does not)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        await asyncio.sleep(0.01)


class Sleeper:
    """A child that has said who it is and sleeps."""

    def __init__(self, run: Run) -> None:
        self._said: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        code = "send(str(os.getpid()).encode()); time.sleep(3600)"
        self.task = asyncio.create_task(run(code, on_message=self._said.set_result))

    async def pid(self) -> int:
        async with asyncio.timeout(LONG):
            return int(await self._said)


async def test_children_run_at_the_same_time_and_get_their_own_payload(run: Run) -> None:
    """Each waits for an answer that is given when all have asked."""
    all_here = asyncio.Barrier(8)

    async def meet(question: bytes) -> bytes:
        await all_here.wait()
        return question

    outcomes = await asyncio.gather(*(run(f"send(send.ask(b'{n}'))", answer=meet) for n in range(8)))
    assert [o.end for o in outcomes] == [Exited(0)] * 8
    assert [o.messages for o in outcomes] == [(str(n).encode(),) for n in range(8)]


async def test_a_large_payload_arrives_whole(run: Run) -> None:
    text = f"send(str(len('{'x' * (8 << 20)}')).encode())"
    assert (await run(text)).messages == (str(8 << 20).encode(),)


async def test_a_child_cannot_change_what_the_next_one_sees(run: Run) -> None:
    await run("import builtins; builtins.print = None; sys.modules['json'] = None")
    assert (await run("import json; print(1)")).stdout == b"1\n"


async def test_a_child_may_import_what_the_zygote_has_not(run: Run) -> None:
    assert (await run("import wave, json.tool")).end == Exited(0)


async def test_children_draw_different_random_numbers(policy: SandboxPolicy) -> None:
    draw = b"import numpy.random; send(str((numpy.random.rand(), random.random())).encode())"
    async with Zygote.start(preload="programs:import_numpy", entry="programs:run") as zygote:
        first, second = [await zygote.run(draw, policy, wall_seconds=LONG) for _ in range(2)]
    assert first.messages != second.messages


async def test_cancelling_kills_the_child_before_it_returns(run: Run) -> None:
    sleeper = Sleeper(run)
    pid = await sleeper.pid()
    sleeper.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sleeper.task
    assert not alive(pid)
    assert (await run("pass")).end == Exited(0)


async def test_leaving_ends_the_zygote_and_all_children(policy: SandboxPolicy) -> None:
    async with Zygote.start(preload="programs:nothing", entry="programs:run") as zygote:

        def run(code: str, **options: Any) -> Coroutine[Any, Any, Outcome]:
            return zygote.run(code.encode(), policy, wall_seconds=LONG, **options)

        sleepers = [Sleeper(run) for _ in range(3)]
        pids = [await sleeper.pid() for sleeper in sleepers] + [zygote.pid]
    results = await asyncio.gather(*(s.task for s in sleepers), return_exceptions=True)
    assert all(isinstance(result, ZygoteFailed) for result in results)
    await until(lambda: not any(alive(pid) for pid in pids))


async def test_a_zygote_that_dies_fails_its_runs_and_the_next_run_starts_another(
    run: Run, zygote: Zygote
) -> None:
    sleeper = Sleeper(run)
    pid, first = await sleeper.pid(), zygote.pid
    os.kill(first, signal.SIGKILL)
    with pytest.raises(ZygoteFailed):
        await sleeper.task
    await until(lambda: not alive(pid))
    assert (await run("pass")).end == Exited(0)
    assert zygote.pid != first


async def test_a_zygote_that_hangs_is_given_up(
    run: Run, zygote: Zygote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sandbox.zygote._KILL_SECONDS", 0.2)
    os.kill(zygote.pid, signal.SIGSTOP)
    with pytest.raises(ZygoteFailed):
        await run("pass", wall_seconds=0.1)
    assert (await run("pass")).end == Exited(0)


async def test_what_cannot_be_loaded_is_told_with_its_cause() -> None:
    with pytest.raises(ZygoteFailed, match="libmissing"):
        async with Zygote.start(preload="programs:fail_to_load", entry="programs:run"):
            pass


async def test_loading_that_takes_too_long_is_given_up() -> None:
    with pytest.raises(ZygoteFailed, match="not ready after"):
        async with Zygote.start(preload="programs:hang", entry="programs:run", start_seconds=0.2):
            pass


async def test_a_zygote_with_two_threads_refuses_to_fork() -> None:
    with pytest.raises(ZygoteFailed, match="2 threads"):
        async with Zygote.start(preload="programs:start_a_thread", entry="programs:run"):
            pass


async def test_a_terminal_interrupt_does_not_reach_it(run: Run, zygote: Zygote) -> None:
    assert os.getpgid(zygote.pid) == zygote.pid
    os.kill(zygote.pid, signal.SIGINT)
    assert (await run("pass")).end == Exited(0)


async def test_runs_leave_no_descriptors_behind(run: Run) -> None:
    await run("pass")
    before = os.listdir("/proc/self/fd")
    for text in ("send(b'x' * 999)", "while True: print(1)", "1/0"):
        await run(text, output_bytes=10_000)
    assert len(os.listdir("/proc/self/fd")) == len(before)


async def test_nothing_outlives_a_parent_that_is_killed(run: Run, tmp_path: Path) -> None:
    parent_code = textwrap.dedent("""
        import asyncio, sys
        from sandbox import SandboxPolicy, Zygote
        async def main() -> None:
            async with Zygote.start(preload="programs:nothing", entry="programs:run") as zygote:
                code = b"send(str(os.getpid()).encode()); time.sleep(3600)"
                def say(message: object) -> None:
                    print(zygote.pid, message.decode(), flush=True)
                await zygote.run(code, SandboxPolicy(), wall_seconds=3600, on_message=say)
        asyncio.run(main())
    """)
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{HERE}"}
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", parent_code, stdout=subprocess.PIPE, env=env
    )
    assert parent.stdout
    pids = [int(pid) for pid in (await parent.stdout.readline()).split()]
    assert len(pids) == 2
    assert all(alive(pid) for pid in pids)
    parent.kill()
    await parent.wait()
    await until(lambda: not any(alive(pid) for pid in pids))


async def test_a_child_without_a_folder_can_write_nowhere(run: Run) -> None:
    outcome = await run("open('x', 'w')", policy=SandboxPolicy())
    assert b"PermissionError" in outcome.stderr
