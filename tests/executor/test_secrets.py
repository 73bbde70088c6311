"""Token and volume are out of the code's reach, and without its sandbox no code is run."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

from messages.failure import ExecutorReason as Reason
from messages.work import Output
from tests.executor.authority import make_authority
from tests.executor.gateway_stub import GatewayStub
from tests.executor.orders import BELL, ENDLESS, an_order
from tests.executor.process import Start, assert_failed, family

NO_LANDLOCK = """
import errno, os, sys
from sandbox import kernel
from sandbox.bpf import ALLOW, Program, fail_with
from sandbox.seccomp import install
program = Program()
program.require_architecture({"x86_64": 0xC000003E, "aarch64": 0xC00000B7}[kernel.MACHINE])
program.on(444, fail_with(errno.ENOSYS))
program.otherwise(ALLOW)
kernel.prctl(38, 1)
install(program)
os.execv(sys.executable, [sys.executable, "-m", "executor_image.supervisor"])
"""
"""Becomes an executor on a kernel without Landlock."""


def test_the_process_that_holds_the_token_loads_no_qiskit() -> None:
    program = (
        "import executor_image.supervisor, sys; print({'qiskit', 'numpy', 'circuits'} & set(sys.modules))"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert told.stdout == "set()\n"


async def test_the_token_is_not_sent_to_anybody_else(
    start: Start, gateway: GatewayStub, tmp_path: Path
) -> None:
    other = make_authority(tmp_path, "qiskit-operator-gateway")
    executor = await start(an_order(), EXECUTOR_GATEWAY_CA=other.pem)
    async with asyncio.timeout(60):
        while b"CERTIFICATE_VERIFY_FAILED" not in await executor.line():
            pass
    executor = await start(an_order(), EXECUTOR_GATEWAY_SERVER_NAME="another-gateway")
    async with asyncio.timeout(60):
        while b"CERTIFICATE_VERIFY_FAILED" not in await executor.line():
            pass
    assert gateway.requests == []


async def test_the_volume_is_hidden_from_the_code(start: Start, gateway: GatewayStub, tmp_path: Path) -> None:
    output = tmp_path / "output"
    output.mkdir()
    code = f"""
import os
try:
    os.listdir({str(output)!r})
except PermissionError:
    print("hidden")
"""
    order = an_order(code + BELL, output=Output(type="pvc"))
    ended = await (await start(order, EXECUTOR_OUTPUT_DIR=str(output))).ended()
    assert ended.code == 0
    assert "hidden" in ended.stdout


async def test_without_a_layer_of_the_sandbox_no_code_is_run(start: Start, gateway: GatewayStub) -> None:
    executor = await start(an_order("print('running')" + BELL), command=("-c", NO_LANDLOCK))
    ended = await executor.ended()
    assert_failed(
        ended, Reason.SANDBOX_UNAVAILABLE, "name it in EXECUTOR_SANDBOX (e.g. EXECUTOR_SANDBOX=landlock)"
    )
    assert "running" not in ended.stdout


async def test_a_layer_that_is_relaxed_may_be_missing(start: Start, gateway: GatewayStub) -> None:
    executor = await start(an_order(), command=("-c", NO_LANDLOCK), EXECUTOR_SANDBOX="landlock")
    assert (await executor.ended()).code == 0


@pytest.mark.skipif("os.getuid() != 0", reason="only root may look into non-dumpable processes")
async def test_the_token_is_in_no_memory_but_the_supervisors(start: Start, gateway: GatewayStub) -> None:
    executor = await start(an_order(ENDLESS))
    await executor.printed("started")
    await gateway.until(lambda: "/v1/progress" in gateway.requests)
    pids = family(executor.pid)
    token = gateway.token.encode()
    held = {pid: found_in(pid, token) for pid in pids}
    assert held.pop(executor.pid), "the scan must find what is there"
    assert len(held) == 2
    assert not any(held.values())
    for pid in held:
        environment = environment_of(pid)
        assert token not in environment
        assert b"EXECUTOR_" not in environment


def environment_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def found_in(pid: int, secret: bytes) -> bool:
    """Whether `secret` is anywhere in the memory that a process can write."""
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        span, permissions = line.split()[:2]
        if not permissions.startswith("rw"):
            continue
        begin, end = (int(edge, 16) for edge in span.split("-"))
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            try:
                memory.seek(begin)
                if re.search(re.escape(secret), memory.read(end - begin)):
                    return True
            except OSError:
                continue
    return False
