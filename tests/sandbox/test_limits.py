"""What a child may use up, and how its end is told."""

import signal
import textwrap
from dataclasses import replace

import pytest

from sandbox import (
    Exited,
    Layer,
    MemoryExceeded,
    OutputExceeded,
    SandboxPolicy,
    Signaled,
    TimedOut,
)
from sandbox.rlimits import ADDRESS_SLACK_BYTES
from tests.sandbox.conftest import Run


async def test_a_run_returns_its_messages_and_what_it_printed(run: Run) -> None:
    outcome = await run("print('hello'); send(b'a'); send(b''); send(b'bc')")
    assert outcome.end == Exited(0)
    assert outcome.succeeded
    assert outcome.messages == (b"a", b"", b"bc")
    assert outcome.stdout == b"hello\n"
    assert outcome.layers == frozenset(Layer)
    assert outcome.peak_rss_bytes > 1 << 20


async def test_an_error_in_user_code_is_an_exit_with_its_traceback(run: Run) -> None:
    outcome = await run("send(b'first')\n1/0")
    assert outcome.end == Exited(1)
    assert outcome.messages == (b"first",)
    assert b'File "<user>", line 2' in outcome.stderr
    assert outcome.stderr.endswith(b"ZeroDivisionError: division by zero\n")


@pytest.mark.parametrize(
    ("leave", "status"),
    [
        ("sys.exit()", 0),
        ("sys.exit(7)", 7),
        ("sys.exit('no')", 1),
        ("os._exit(9)", 9),
        ("raise KeyboardInterrupt", 1),
    ],
)
async def test_code_that_leaves_by_itself(run: Run, leave: str, status: int) -> None:
    assert (await run(leave)).end == Exited(status)


@pytest.mark.parametrize(
    "loop",
    [
        "while True: pass",
        "sum(iter(int, 1))",
        "time.sleep(3600)",
        "signal.pause()",
        "'a' * 40 + 'b'; 7 ** 7 ** 9 ** 9",
    ],
    ids=["in Python", "in C", "asleep", "waiting for a signal", "in one multiplication"],
)
async def test_endless_code_ends_at_its_wall_time(run: Run, loop: str) -> None:
    outcome = await run(loop, wall_seconds=0.3)
    assert outcome.end == TimedOut("wall")
    assert outcome.wall_seconds >= 0.3


@pytest.mark.parametrize("hold_on", ["pass", "signal.signal(signal.SIGXCPU, signal.SIG_IGN)"])
async def test_cpu_time_is_bounded_whatever_the_code_does_with_the_warning(
    run: Run, policy: SandboxPolicy, hold_on: str
) -> None:
    hog = textwrap.dedent(f"""
        {hold_on}
        while True: pass
    """)
    outcome = await run(hog, policy=replace(policy, cpu_seconds=1))
    assert outcome.end == TimedOut("cpu")
    assert outcome.cpu_seconds < 4


HOGS = {
    "one block": "bytearray(1 << 40)",
    "many blocks": "kept = [bytearray(1 << 20) for _ in range(1 << 20)]",
    "small objects": "kept = [object() for _ in range(1 << 40)]",
    "C++ aborts": "os.write(2, b'what():  std::bad_alloc'); os.abort()",
    "Rust aborts": "os.write(2, b'memory allocation of 64 bytes failed'); os.abort()",
}


@pytest.mark.parametrize("hog", HOGS)
async def test_a_memory_hog_is_told_apart_from_a_crash(run: Run, policy: SandboxPolicy, hog: str) -> None:
    outcome = await run(HOGS[hog])
    assert outcome.end == MemoryExceeded()
    assert policy.memory_bytes
    assert outcome.peak_rss_bytes < policy.memory_bytes + (100 << 20)


async def test_filled_pages_made_read_only_still_count(run: Run, policy: SandboxPolicy) -> None:
    sneak = textwrap.dedent("""
        libc = ctypes.CDLL(None, use_errno=True)
        libc.mmap.restype = ctypes.c_void_p
        libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
        libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
        step = 16 << 20
        while True:
            block = libc.mmap(None, step, 3, 0x22, -1, 0)
            if block in (None, (1 << 64) - 1):
                break
            ctypes.memset(block, 1, step)
            libc.mprotect(block, step, 1)
    """)
    outcome = await run(sneak)
    assert outcome.end == Exited(0)
    assert policy.memory_bytes
    assert outcome.peak_rss_bytes < policy.memory_bytes + ADDRESS_SLACK_BYTES + (100 << 20)


@pytest.mark.parametrize("memory", [0, 1 << 12, 1 << 16])
async def test_too_little_memory_to_begin_with_is_told_as_such(
    run: Run, policy: SandboxPolicy, memory: int
) -> None:
    hog = "kept = [bytearray(1 << 20) for _ in range(1 << 10)]"
    assert (await run(hog, policy=replace(policy, memory_bytes=memory))).end == MemoryExceeded()


async def test_shared_memory_counts_too(run: Run, policy: SandboxPolicy) -> None:
    grab = "kept = []\nwhile True: kept.append(mmap.mmap(-1, 16 << 20)); kept[-1][:] = bytes(16 << 20)"
    outcome = await run(grab)
    assert outcome.end in (MemoryExceeded(), Exited(1))
    assert policy.memory_bytes
    assert outcome.peak_rss_bytes < policy.memory_bytes + ADDRESS_SLACK_BYTES + (100 << 20)


async def test_a_file_grows_to_its_limit_and_no_further(run: Run, policy: SandboxPolicy) -> None:
    write = "open('big', 'wb').write(bytes(2 << 20))"
    outcome = await run(write, policy=replace(policy, file_size_bytes=1 << 20))
    assert b"File too large" in outcome.stderr
    assert (policy.writable[0] / "big").stat().st_size <= 1 << 20


async def test_open_files_are_bounded(run: Run) -> None:
    outcome = await run("kept = [os.pipe() for _ in range(1000)]")
    assert b"Too many open files" in outcome.stderr


@pytest.mark.parametrize(
    "flood",
    [
        "while True: print('x' * 1000)",
        "while True: sys.stderr.write('x' * 1000)",
        "while True: os.write(1, b'x' * 9999)",
    ],
)
async def test_a_flood_of_output_ends_the_child_and_keeps_the_tail(run: Run, flood: str) -> None:
    outcome = await run(flood, output_bytes=100_000)
    assert outcome.end == OutputExceeded("output")
    assert 0 < len(outcome.stdout + outcome.stderr) <= 32 << 10


async def test_output_without_a_limit_is_passed_on_and_not_kept(run: Run) -> None:
    seen: list[bytes] = []
    outcome = await run("for _ in range(300): print('x' * 999)", output_bytes=None, on_output=seen.append)
    assert outcome.end == Exited(0)
    assert sum(map(len, seen)) == 300_000
    assert len(outcome.stdout) == 16 << 10


BAD_FRAMES = {
    "a flood of frames": "while True: send(b'x' * 1000)",
    "a frame that is too large": "send(bytes(200_000))",
    "an announcement of four gigabytes": "os.write(3, b'\\xff\\xff\\xff\\xff'); time.sleep(3600)",
}


@pytest.mark.parametrize("frames", BAD_FRAMES)
async def test_messages_beyond_their_limit_end_the_child(run: Run, frames: str) -> None:
    outcome = await run(BAD_FRAMES[frames], message_bytes=100_000)
    assert outcome.end == OutputExceeded("messages")
    assert sum(map(len, outcome.messages)) <= 100_000


async def test_half_a_frame_is_no_message(run: Run) -> None:
    outcome = await run("send(b'whole'); os.write(3, b'\\x09\\0\\0\\0half')")
    assert outcome.messages == (b"whole",)
    assert outcome.end == Exited(0)


async def test_code_that_closes_its_pipes_is_still_reaped(run: Run) -> None:
    outcome = await run("os.closerange(0, 10); time.sleep(0.05); os._exit(5)")
    assert outcome.end == Exited(5)


async def test_messages_are_handed_on_as_they_come(run: Run) -> None:
    seen: list[bytes] = []
    outcome = await run("send(b'a'); send(b'b')", on_message=seen.append)
    assert seen == [b"a", b"b"]
    assert outcome.messages == ()


@pytest.mark.parametrize(
    ("crash", "number"),
    [
        ("ctypes.string_at(0)", signal.SIGSEGV),
        ("os.abort()", signal.SIGABRT),
        ("os.kill(os.getpid(), signal.SIGKILL)", signal.SIGKILL),
    ],
)
async def test_a_crash_is_told_by_its_signal(run: Run, crash: str, number: int) -> None:
    assert (await run(crash)).end == Signaled(number)


X32_GETPID = 0x40000000 | 39


@pytest.mark.parametrize(
    "call",
    [
        f"ctypes.CDLL(None).syscall(ctypes.c_long({X32_GETPID}))",
        # mov eax, 20 (getpid of i386); int 0x80; ret
        "page = mmap.mmap(-1, 4096, prot=7); page.write(b'\\xb8\\x14\\0\\0\\0\\xcd\\x80\\xc3'); "
        "ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()",
    ],
    ids=["x32", "i386"],
)
@pytest.mark.skipif(
    "__import__('platform').machine() != 'x86_64'", reason="other numbers exist on x86_64 only"
)
async def test_system_calls_by_another_table_kill_the_child(run: Run, call: str) -> None:
    assert (await run(call)).end == Signaled(signal.SIGSYS)


async def test_a_fork_bomb_makes_no_process(run: Run) -> None:
    bomb = textwrap.dedent("""
        for _ in range(1000):
            try:
                os.fork()
            except PermissionError:
                continue
            send(b'forked')
    """)
    outcome = await run(bomb)
    assert (outcome.end, outcome.messages) == (Exited(0), ())
