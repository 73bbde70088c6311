"""Code that fails, hangs, hogs, lies or attacks: what its author is told, and that nobody else is harmed."""

from __future__ import annotations

import os
import textwrap
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from executor_image.console import OUTPUT_LIMIT
from executor_image.failures import termination_message
from messages.failure import TERMINATION_MESSAGE_LIMIT
from messages.failure import ExecutorReason as Reason
from messages.work import Stage
from tests.executor.attempts import Workplace, a_workplace
from tests.executor.orders import BELL, an_order

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Workplace]:
    async with a_workplace(tmp_path_factory.mktemp("executor")) as workplace:
        yield workplace


def attempts(*lines: str) -> str:
    """Code that prints what comes of each expression: its value, or the name of an errno."""
    return (
        textwrap.dedent("""
        import ctypes, errno, os, pathlib, signal, socket, subprocess, sys
        def attempt(what):
            try:
                print("got", eval(what), flush=True)
            except OSError as error:
                print(errno.errorcode.get(error.errno, error), flush=True)
        """)
        + "".join(f"attempt({line!r})\n" for line in lines)
        + BELL
    )


@pytest.mark.parametrize(
    ("code", "reason", "line"),
    [
        ("x = (", Reason.CIRCUIT_SYNTAX_ERROR, 1),
        ("x = 1", Reason.NO_CIRCUIT, None),
        ("from qiskit import QuantumCircuit\nqc = QuantumCircuit(1)", Reason.NO_MEASUREMENT, None),
        ("def f():\n    return 1 / 0\nf()", Reason.USER_CODE_ERROR, 2),
        ("from qiskit import QuantumCircuit\nqc = QuantumCircuit(1)\nqc.cx(0, 0)", Reason.CIRCUIT_INVALID, 3),
        ("import sys\nsys.exit(3)", Reason.USER_CODE_EXITED, 2),
        ("import os\nos._exit(0)", Reason.USER_CODE_EXITED, None),
        ("import os\nos._exit(17)", Reason.USER_CODE_EXITED, None),
        ("import os\nos.kill(os.getpid(), 9)", Reason.EXECUTOR_CRASHED, None),
        ("import ctypes\nctypes.string_at(0)", Reason.EXECUTOR_CRASHED, None),
        ("OPENQASM 3.0;\nqubit q", Reason.CIRCUIT_SYNTAX_ERROR, 2),
        (b"QISKIT\x12 and then rubbish", Reason.CIRCUIT_INVALID, None),
        (b"\x00\xff" * 100, Reason.CIRCUIT_SYNTAX_ERROR, None),
    ],
)
async def test_a_fault_of_the_code_has_its_reason_and_line(
    place: Workplace, code: str | bytes, reason: Reason, line: int | None
) -> None:
    failure = await place.failure(an_order(code))
    assert (failure.reason, failure.line) == (reason, line), failure
    assert "\n" not in failure.message
    assert len(termination_message(failure)) <= TERMINATION_MESSAGE_LIMIT


@pytest.mark.parametrize(
    "loop",
    ["while True: pass", "sum(iter(int, 1))", "7 ** 7 ** 9 ** 9", "import time; time.sleep(3600)"],
    ids=["in Python", "in C", "in one multiplication", "asleep"],
)
async def test_code_without_an_end_is_ended_at_its_time_limit(place: Workplace, loop: str) -> None:
    failure = await place.failure(an_order(loop, seconds=0.5))
    assert failure.reason == Reason.EXECUTION_TIMEOUT
    assert "still building the circuits after 0.5 s; raise spec.execution.maxExecutionTime" in failure.message


async def test_a_run_without_an_end_is_ended_at_its_time_limit(place: Workplace) -> None:
    code = """
    from qiskit import QuantumCircuit
    qc = QuantumCircuit(1, 1)
    with qc.while_loop((qc.clbits[0], 0)):
        qc.measure(0, 0)
    """
    failure = await place.failure(an_order(textwrap.dedent(code), seconds=3))
    assert failure.reason == Reason.EXECUTION_TIMEOUT
    assert "still running the circuits" in failure.message
    assert place.stages[-1][0] is Stage.RUNNING


async def test_time_spent_on_building_is_gone_for_running(place: Workplace) -> None:
    order = an_order("import time; time.sleep(0.6)" + BELL, seconds=0.6)
    assert (await place.failure(order)).reason == Reason.EXECUTION_TIMEOUT


@pytest.mark.parametrize(
    "hog",
    [
        "x = 'a' * (4 << 30)",
        "x = []\nwhile True: x.append(bytes(1 << 20))",
        "import numpy; numpy.ones(1 << 29)",
    ],
    ids=["at once", "bit by bit", "in C"],
)
async def test_code_that_takes_too_much_memory_is_told_the_limit(place: Workplace, hog: str) -> None:
    failure = await place.failure(an_order(hog, memory=512 << 20))
    assert failure.reason == Reason.OUT_OF_MEMORY
    assert "raise spec.resources.limits.memory (512Mi now)" in failure.message


async def test_a_fork_bomb_does_not_go_off(place: Workplace) -> None:
    run = await place.run(
        an_order(attempts("[os.fork() for _ in range(9)]", "os.posix_spawn('/bin/true', ['true'], {})"))
    )
    assert place.printed.content.split() == [b"EPERM", b"EPERM"]
    assert sum(run.circuits[0].counts.values()) == 1024


async def test_fifty_megabytes_of_output_are_cut_with_a_note(place: Workplace) -> None:
    await place.run(an_order("print(('a' * 99 + '\\n') * 500_000)" + BELL))
    assert OUTPUT_LIMIT < len(place.printed.content) < OUTPUT_LIMIT + 100
    assert place.printed.content.endswith(b"[what the code prints beyond 1024 KiB is not shown]\n")


async def test_the_network_is_out_of_reach(place: Workplace) -> None:
    await place.run(
        an_order(
            attempts(
                "socket.socket()",
                "socket.socket(socket.AF_UNIX)",
                "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
                "socket.create_connection(('127.0.0.1', 1))",
            )
        )
    )
    assert place.printed.content.split() == [b"EPERM"] * 4


async def test_secrets_and_other_processes_are_out_of_reach(place: Workplace) -> None:
    mine, zygote = os.getpid(), place.zygote.pid
    await place.run(
        an_order(
            attempts(
                f"open({str(place.settings.token_file)!r}).read()",
                f"os.listdir({str(place.settings.token_file.parent)!r})",
                f"open('/proc/{mine}/mem', 'rb').read(1)",
                f"open('/proc/{mine}/environ', 'rb').read(1)",
                f"open('/proc/{zygote}/mem', 'rb').read(1)",
                "open('/proc/self/environ', 'rb').read(1)",
                "open('/etc/passwd').read(1)",
                "os.listdir('/proc')",
                f"os.kill({mine}, 9)",
                f"os.kill({zygote}, 9)",
                "os.kill(-1, 9)",
                "os.killpg(0, 9)",
                f"os.pidfd_open({mine})",
                "open('/tmp/left-behind', 'w')",
            )
        )
    )
    answers = place.printed.content.split()
    assert b"got" not in answers
    assert len(answers) == 14
    code = f"""
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    for call in (libc.ptrace(16, {zygote}, 0, 0), libc.process_vm_readv({mine}, 0, 0, 0, 0, 0)):
        print(call)
    """
    await place.run(an_order(textwrap.dedent(code) + BELL))
    assert place.printed.content.split() == [b"-1", b"-1"]


async def test_only_the_working_folder_can_be_written(place: Workplace) -> None:
    await place.run(
        an_order(
            attempts(
                "pathlib.Path('note').write_text('x')",
                "pathlib.Path('note').read_text()",
                f"pathlib.Path({str(place.settings.work_dir)!r}, 'note').write_text('x')",
                f"pathlib.Path({__file__!r}).write_text('x')",
            )
        )
    )
    assert place.printed.content.split() == [b"got", b"1", b"got", b"x", b"EACCES", b"EACCES"]


BUILT = "forge({{'type': 'built', 'qpy': b'QISKIT', 'parameters': {}}}); os._exit(0)"
REFUSED = "forge({{'type': 'refused', 'failure': {{'reason': '{}', 'message': 'x'}}}}); os._exit(0)"


@pytest.mark.parametrize(
    ("forgery", "reason"),
    [
        ("os.write(3, b'rubbish' * 1000); os._exit(0)", Reason.CIRCUIT_INVALID),
        ("forge('rubbish'); os._exit(0)", Reason.USER_CODE_ERROR),
        (
            "deep = b'\\x82\\xa4type\\xa7refused\\xa1x' + b'\\x91' * 100_000\nforge_bytes(deep); os._exit(0)",
            Reason.USER_CODE_ERROR,
        ),
        ("forge_bytes(b'\\x81\\xa4type\\xa1\\xff'); os._exit(0)", Reason.USER_CODE_ERROR),
        (
            "forge({'type': 'done', 'versions': {}, 'device': None, 'qpy': None}); os._exit(0)",
            Reason.USER_CODE_ERROR,
        ),
        (REFUSED.format("GatewayUnavailable"), Reason.USER_CODE_ERROR),
        (REFUSED.format("Mischief"), Reason.USER_CODE_ERROR),
        (BUILT.format("[{}]"), Reason.CIRCUIT_INVALID),
        (BUILT.format("[]"), Reason.USER_CODE_ERROR),
        (BUILT.format("[{}] * 1001"), Reason.USER_CODE_ERROR),
    ],
    ids=[
        "no frame",
        "no answer",
        "an answer that is nested without end",
        "a type that is not UTF-8",
        "an end without counts",
        "a reason to try again",
        "no reason",
        "no circuit",
        "no run",
        "more runs than a job may have",
    ],
)
async def test_forged_answers_gain_nothing(place: Workplace, forgery: str, reason: Reason) -> None:
    code = """
    import msgspec, os
    from sandbox.frames import MESSAGE, write_frame
    def forge_bytes(answer):
        write_frame(3, MESSAGE + answer)
    def forge(answer):
        forge_bytes(msgspec.msgpack.encode(answer))
    """
    assert (await place.failure(an_order(textwrap.dedent(code) + forgery))).reason == reason


async def test_counts_cannot_be_forged_by_tampering_with_the_simulator(place: Workplace) -> None:
    code = """
    import sys, types
    import qiskit_aer, executor_image.simulating, executor_image.child, circuits
    class Fake:
        def __getattr__(self, name): return lambda *a, **k: Fake()
    qiskit_aer.AerSimulator.run = Fake()
    executor_image.simulating.Simulation.run = lambda self: None
    executor_image.child.run = circuits.describe = lambda *a, **k: None
    from qiskit.result import Result
    Result.get_counts = lambda self, *a: {"00": 10**9}
    """
    run = await place.run(an_order(textwrap.dedent(code) + BELL))
    counts = run.circuits[0].counts
    assert set(counts) == {"00", "11"}
    assert sum(counts.values()) == 1024


async def test_a_circuit_that_lies_about_itself_is_seen_as_it_is(place: Workplace) -> None:
    code = """
    from qiskit import QuantumCircuit
    class Tiny(QuantumCircuit):
        num_qubits = 1
        def depth(self, *a, **k): return 0
        def __len__(self): return 0
    qc = Tiny(3, 3)
    qc.h(range(3))
    qc.measure(range(3), range(3))
    """
    run = await place.run(an_order(textwrap.dedent(code)))
    assert run.circuits[0].facts.qubits == 3
    assert run.circuits[0].facts.depth == 2


@pytest.mark.parametrize("size", [300 << 10, 1 << 20], ids=["300 KB", "1 MB"])
async def test_long_code_is_no_matter(place: Workplace, size: int) -> None:
    lines = "\n".join(f"x{n} = {n}  # {'.' * 80}" for n in range(size // 95))
    run = await place.run(an_order(lines + BELL))
    assert set(run.circuits[0].counts) == {"00", "11"}


@pytest.mark.parametrize(
    "end", ["sys.stdout.close()", "sys.stdout = None", "os.close(1); sys.stdout.write('x')"]
)
async def test_code_that_closes_its_output_has_its_circuit_run(place: Workplace, end: str) -> None:
    run = await place.run(an_order(f"{BELL}\nimport os, sys\n{end}\n"))
    assert sum(run.circuits[0].counts.values()) == run.order.execution.shots


async def test_what_one_job_leaves_behind_is_not_a_trap_for_imports(place: Workplace) -> None:
    await place.run(an_order("open('numpy.py', 'w').write('raise SystemExit(9)')" + BELL))
    run = await place.run(an_order("import numpy; numpy.zeros(1)" + BELL))
    assert run.circuits


async def test_forty_qubits_in_a_state_vector_say_what_they_need(place: Workplace) -> None:
    code = """
    from qiskit import QuantumCircuit
    qc = QuantumCircuit(40, name="wide")
    qc.h(range(40))
    qc.t(range(40))
    qc.cx(range(39), range(1, 40))
    qc.measure_all()
    """
    failure = await place.failure(an_order(textwrap.dedent(code)))
    assert failure.reason == Reason.INSUFFICIENT_RESOURCES
    assert failure.message.startswith(
        "circuit wide needs 16Ti for 40 qubits with the method statevector, and this pod has 768Mi for it; "
        "set spec.resources.limits.memory to "
    )


async def test_a_circuit_that_is_nested_too_deeply_is_a_fault_of_the_circuit(place: Workplace) -> None:
    code = """
    from qiskit import QuantumCircuit
    qc = QuantumCircuit(1, 1)
    def nest(depth):
        with qc.if_test((qc.clbits[0], 0)):
            nest(depth - 1) if depth else qc.x(0)
    nest(60)
    qc.measure(0, 0)
    """
    failure = await place.failure(an_order(textwrap.dedent(code)))
    assert failure.reason == Reason.CIRCUIT_INVALID
    assert "nested too deeply" in failure.message
