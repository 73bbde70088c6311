"""The service as a process: readiness, overload, clients that leave, and its end."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp
import psutil
import pytest

from tests.validation.conftest import BELL, Post, Running, start_service

SLEEP = "import time\ntime.sleep(3600)"
HERE = Path(__file__).parent


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        await asyncio.sleep(0.02)


def children(running: Running) -> list[psutil.Process]:
    """Sandboxed children: what the zygote, the service's only child, has forked."""
    return [
        child
        for zygote in psutil.Process(running.process.pid).children()
        for child in zygote.children()
        if child.status() != psutil.STATUS_ZOMBIE
    ]


async def test_it_says_which_layers_of_the_sandbox_hold(http: aiohttp.ClientSession) -> None:
    async with http.get("/ready") as response:
        assert response.status == 200
        assert await response.json() == {
            "ready": True,
            "sandbox": {"no_new_privs": True, "rlimits": True, "landlock": True, "seccomp": True},
            "problem": None,
        }


async def test_it_is_healthy(http: aiohttp.ClientSession) -> None:
    async with http.get("/health") as response:
        assert (await response.json())["healthy"] is True


async def test_it_counts_what_it_does(http: aiohttp.ClientSession, post: Post) -> None:
    async def counted(sample: str) -> float:
        async with http.get("/metrics") as response:
            found = re.search(rf"^{re.escape(sample)} (\S+)$", await response.text(), re.MULTILINE)
        return float(found[1]) if found else 0.0

    valid = 'qiskit_validation_validations_total{reason="",verdict="valid"}'
    unknown = 'qiskit_validation_validations_total{reason="ValidationOutOfMemory",verdict="unknown"}'
    forbidden = 'qiskit_validation_fetches_total{kind="url",reason="SourceForbidden"}'
    before = [await counted(sample) for sample in (valid, unknown, forbidden)]
    await post("/validate", code=BELL)
    await post("/validate", code="bytearray(1 << 40)")
    await post("/fetch", url="file:///etc/passwd")
    assert [await counted(sample) for sample in (valid, unknown, forbidden)] == [n + 1 for n in before]
    assert await counted("qiskit_validation_seconds_count") >= 2


async def test_a_client_that_leaves_takes_its_child_with_it(
    service: Running, http: aiohttp.ClientSession
) -> None:
    asking = asyncio.create_task(http.post("/validate", json={"code": SLEEP}))
    await until(lambda: len(children(service)) == 1)
    asking.cancel()
    await until(lambda: not children(service))


async def test_beyond_its_queue_it_asks_to_come_back_and_then_serves(tmp_path: Path) -> None:
    flags = ("--concurrency=1", "--queue=1", "--wall-seconds=2")
    with start_service(tmp_path, *flags) as running:
        async with aiohttp.ClientSession(running.url) as http:

            async def ask(code: str) -> tuple[int, str | None]:
                async with http.post("/validate", json={"code": code}) as response:
                    return response.status, response.headers.get("Retry-After")

            first = asyncio.create_task(ask(SLEEP))
            await until(lambda: len(children(running)) == 1)
            others = [asyncio.create_task(ask(BELL)) for _ in range(5)]
            answers = [await other for other in others]
            assert sorted(status for status, _ in answers) == [200, 429, 429, 429, 429]
            assert all(int(after or 0) >= 1 for status, after in answers if status == 429)
            assert (await first)[0] == 200
            assert (await ask(BELL))[0] == 200


async def test_without_a_required_layer_it_is_not_ready_and_runs_nothing(tmp_path: Path) -> None:
    with start_service(tmp_path, command=[str(HERE / "without_landlock.py")]) as running:
        async with aiohttp.ClientSession(running.url) as http:
            async with http.get("/ready") as response:
                said = await response.json()
                assert (response.status, said["ready"], said["sandbox"]["landlock"]) == (503, False, False)
                assert "VALIDATION_SANDBOX_RELAX=landlock" in said["problem"]
            async with http.post("/validate", json={"code": BELL}) as response:
                assert response.status == 503
                assert "landlock" in (await response.json())["error"]
            async with http.get("/health") as response:
                assert response.status == 200, "restarting would not bring the layer back"


async def test_a_relaxed_layer_lets_it_run_and_is_told(tmp_path: Path) -> None:
    command = [str(HERE / "without_landlock.py")]
    with start_service(tmp_path, "--sandbox-relax=landlock", command=command) as running:
        async with aiohttp.ClientSession(running.url) as http:
            async with http.get("/ready") as response:
                said = await response.json()
                assert (response.status, said["sandbox"]["landlock"]) == (200, False)
            async with http.post("/validate", json={"code": BELL}) as response:
                assert (await response.json())["verdict"] == "valid"


async def test_it_survives_the_death_of_its_zygote(service: Running, post: Post) -> None:
    (zygote,) = psutil.Process(service.process.pid).children()
    zygote.kill()
    await until(lambda: not zygote.is_running() or zygote.status() == psutil.STATUS_ZOMBIE)
    assert (await post("/validate", code=BELL))["verdict"] == "valid"


async def test_told_to_stop_it_finishes_what_it_has_begun(tmp_path: Path) -> None:
    with start_service(tmp_path) as running:
        async with aiohttp.ClientSession(running.url) as http:
            slow = "import time\ntime.sleep(1)\n" + BELL
            asking = asyncio.create_task(http.post("/validate", json={"code": slow}))
            await until(lambda: len(children(running)) == 1)
            everything = psutil.Process(running.process.pid).children(recursive=True)
            code = await asyncio.to_thread(running.stop)
            async with await asking as response:
                assert (await response.json())["verdict"] == "valid"
        assert code == 0
        await until(lambda: not any(process.is_running() for process in everything))


@pytest.mark.parametrize(
    "flag", ["--concurrency=0", "--memory-bytes=lots", "--sandbox-relax=all", "--allow=a/b"]
)
async def test_a_setting_that_makes_no_sense_ends_it_at_once(flag: str, tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="ended with 2"), start_service(tmp_path, flag):
        pass


def test_nothing_was_written() -> None:
    assert not os.path.exists("/tmp/validation-was-here")
