"""A token that the parent holds is nowhere in zygote or child: environment, memory, descriptors, files."""

import asyncio
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import Zygote
from tests.sandbox.conftest import LONG, Run

KEPT: list[str] = []


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """A secret as a supervisor has it: in its environment, its memory and a file."""
    value = "token-" + secrets.token_hex(24)
    monkeypatch.setenv("EXECUTOR_TOKEN", value)
    (tmp_path / "token").write_text(value)
    KEPT.append(value * 100)
    yield value
    KEPT.clear()


def memory(pid: int) -> Iterator[bytes]:
    """All readable memory of a process."""
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        span, permissions, *_, name = [*line.split(maxsplit=5), ""][:6]
        if not permissions.startswith("r") or name.startswith(("[vvar", "[vsyscall")):
            continue
        start, end = (int(edge, 16) for edge in span.split("-"))
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as source:
            source.seek(start)
            try:
                yield source.read(end - start)
            except OSError:
                continue


def environment_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def found_in(pid: int, token: str) -> bool:
    pattern = re.compile(re.escape(token.encode()))
    return any(pattern.search(block) for block in memory(pid))


@pytest.mark.skipif("os.getuid() != 0", reason="only root may look into non-dumpable processes")
async def test_the_token_is_in_no_memory_but_the_parents(run: Run, zygote: Zygote, token: str) -> None:
    said: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    code = "send(str(os.getpid()).encode()); time.sleep(3600)"
    running = asyncio.create_task(run(code, on_message=said.set_result))
    try:
        async with asyncio.timeout(LONG):
            child = int(await said)
        assert found_in(os.getpid(), token), "the scan finds what is there"
        assert not found_in(child, token)
        assert not found_in(zygote.pid, token)
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_a_zygote_started_later_does_not_inherit_the_environment(
    run: Run, zygote: Zygote, token: str
) -> None:
    outcome = await run("print(dict(os.environ))")
    assert b"LC_ALL" in outcome.stdout
    for environment in (outcome.stdout, environment_of(zygote.pid)):
        assert token.encode() not in environment
        assert b"EXECUTOR_TOKEN" not in environment


@pytest.mark.skipif("os.getuid() != 0", reason="only root may look into non-dumpable processes")
async def test_one_childs_payload_never_enters_the_zygote(run: Run, zygote: Zygote, token: str) -> None:
    await run(f"kept = '{token}'")
    assert not found_in(zygote.pid, token)


async def test_the_file_with_the_token_cannot_be_read(run: Run, token: str, tmp_path: Path) -> None:
    outcome = await run(f"open({str(tmp_path / 'token')!r})")
    assert b"PermissionError" in outcome.stderr


async def test_a_child_has_only_its_own_descriptors(run: Run) -> None:
    count = """
kept = []
for descriptor in range(4096):
    try:
        os.fstat(descriptor)
        kept.append(descriptor)
    except OSError:
        pass
send(str(kept).encode())
"""
    assert (await run(count)).messages == (b"[0, 1, 2, 3]",)


async def test_a_child_is_closed_to_others_of_its_user(run: Run) -> None:
    assert (await run("send(str(ctypes.CDLL(None).prctl(3)).encode())")).messages == (b"0",)


async def test_the_checkout_around_the_packages_cannot_be_read(run: Run) -> None:
    look = "open(os.path.join(os.path.dirname(sandbox.__file__), '../pyproject.toml'))"
    assert b"PermissionError" in (await run(look)).stderr
