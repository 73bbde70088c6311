"""A whole executor against a gateway: what it asks, what it hands in, and how it ends."""

from __future__ import annotations

import asyncio
import csv
import hashlib
import io
import json
import os
import pickle
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from qiskit import qpy

from executor_image.console import OUTPUT_LIMIT
from messages.failure import EXIT_CODES, ExecutorReason
from messages.failure import ExecutorReason as Reason
from messages.work import Output, Refusal, Stage
from tests.executor.authority import make_authority
from tests.executor.gateway_stub import GatewayStub
from tests.executor.orders import BELL, an_order
from tests.executor.process import SUPERVISOR, Ended, Start

ENDLESS = "import time\nprint('started', flush=True)\nwhile True: time.sleep(0.01)"

SWEEP = """
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
a = Parameter("a")
qc = QuantumCircuit(1, 1, name="turn")
qc.rx(a, 0)
qc.measure(0, 0)
"""


def assert_failed(ended: Ended, reason: ExecutorReason, said: str) -> None:
    assert ended.failure is not None, ended.stderr
    assert (ended.failure.reason, ended.code) == (reason, EXIT_CODES[reason]), ended
    assert said in ended.failure.message


def the_document(gateway: GatewayStub) -> dict[str, Any]:
    (result,) = gateway.results
    document: dict[str, Any] = json.loads(result.document)
    return document


async def test_a_bell_pair_is_handed_in_and_the_executor_ends_with_0(
    start: Start, gateway: GatewayStub
) -> None:
    ended = await (await start(an_order(seed_simulator=7))).ended()
    assert (ended.code, ended.failure) == (0, None), ended.stderr
    (result,) = gateway.results
    assert gateway.order is not None
    assert (result.job_uid, result.attempt) == (gateway.order.job_uid, 2)
    assert result.digest == "sha256:" + hashlib.sha256(result.document).hexdigest()
    document = the_document(gateway)
    counts = document["results"]["counts"]
    assert set(counts) == {"00", "11"}
    assert sum(counts.values()) == 1024
    assert result.summary.top_counts == counts
    assert result.summary.circuits == 1
    assert result.summary.circuit.hash == document["circuit"]["hash"]
    assert document["execution"]["seed_simulator"] == 7
    assert document["execution"]["seed_transpiler"] is not None


def test_the_process_that_holds_the_token_loads_no_qiskit() -> None:
    program = (
        "import executor_image.supervisor, sys; print({'qiskit', 'numpy', 'circuits'} & set(sys.modules))"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert told.stdout == "set()\n"


async def test_the_result_document_has_all_its_fields(start: Start, gateway: GatewayStub) -> None:
    await (await start(an_order())).ended()
    document = the_document(gateway)
    assert {key: set(value) for key, value in document.items() if isinstance(value, dict)} == {
        "backend_info": {"name", "type", "version", "method"},
        "execution": {
            "start_time",
            "end_time",
            "queue_time_seconds",
            "build_time_seconds",
            "transpile_time_seconds",
            "execution_time_seconds",
            "total_time_seconds",
            "seed_simulator",
            "seed_transpiler",
            "optimization_level",
            "peak_memory_bytes",
        },
        "circuit": {
            "name",
            "qubits",
            "clbits",
            "depth",
            "gates",
            "gate_types",
            "hash",
            "transpiled_depth",
            "transpiled_gates",
        },
        "results": {"counts", "shots", "success"},
        "cost": {"estimated", "actual", "currency"},
        "provenance": {"operator", "image", "python", "qiskit", "qiskit_aer", "numpy"},
    }
    plain = {key: value for key, value in document.items() if not isinstance(value, dict)}
    assert plain == {
        "schema": "quantum.io/result/v1",
        "job_id": "99999999-8888-7777-6666-555555555555",
        "job_name": "bell",
        "namespace": "lab",
        "uid": "11111111-2222-3333-4444-555555555555",
        "attempt": 2,
        "backend": "local_simulator",
        "shots": 1024,
    }
    execution = document["execution"]
    steps = ("build", "transpile", "execution")
    assert all(execution[f"{step}_time_seconds"] > 0 for step in steps)
    assert execution["peak_memory_bytes"] > 1 << 20
    assert execution["start_time"] < execution["end_time"]
    assert document["circuit"]["gate_types"] == {"h": 1, "cx": 1}


async def test_a_sweep_has_counts_for_each_binding(start: Start, gateway: GatewayStub) -> None:
    order = an_order(
        SWEEP,
        parameters=[{"a": 0.0}, {"a": 3.141592653589793}],
        output=Output(type="configmap", format="csv"),
    )
    ended = await (await start(order)).ended()
    assert ended.code == 0, ended.stderr
    results = the_document(gateway)["results"]
    assert [(run["name"], run["parameters"], run["counts"]) for run in results["circuits"]] == [
        ("turn", {"a": 0.0}, {"0": 1024}),
        ("turn", {"a": 3.141592653589793}, {"1": 1024}),
    ]
    assert all(run["shots"] == 1024 for run in results["circuits"])
    assert results["counts"] == {"0": 1024}
    rows = list(csv.DictReader(io.StringIO(gateway.results[0].extras["results.csv"].decode())))
    assert [(row["parameters"], row["outcome"], row["count"]) for row in rows] == [
        ("a=0.0", "0", "1024"),
        ("a=3.141592653589793", "1", "1024"),
    ]
    assert gateway.results[0].summary.circuits == 2


async def test_a_pickle_loads_without_qiskit_and_says_the_same(start: Start, gateway: GatewayStub) -> None:
    await (await start(an_order(output=Output(type="configmap", format="pickle")))).ended()
    content = gateway.results[0].extras["results.pickle"]
    assert pickle.loads(content) == the_document(gateway)
    assert b"qiskit." not in content


async def test_a_qpy_holds_the_circuit_as_it_was_run(start: Start, gateway: GatewayStub) -> None:
    await (await start(an_order(output=Output(type="configmap", format="qpy")))).ended()
    (circuit,) = qpy.load(io.BytesIO(gateway.results[0].extras["circuit.qpy"]))
    assert circuit.name == "qc"
    assert circuit.depth() == the_document(gateway)["circuit"]["transpiled_depth"]


async def test_the_same_seeds_give_the_same_counts(start: Start, gateway: GatewayStub) -> None:
    code = BELL.replace("qc.cx(0, 1)", "qc.cx(0, 1); qc.t(0); qc.h(0)")
    await (await start(an_order(code))).ended()
    first = the_document(gateway)
    gateway.results.clear()
    seeds = {name: first["execution"][name] for name in ("seed_simulator", "seed_transpiler")}
    await (await start(an_order(code, **seeds))).ended()
    assert the_document(gateway)["results"] == first["results"]


async def test_what_the_code_prints_is_in_the_log_up_to_a_limit(start: Start, gateway: GatewayStub) -> None:
    code = (
        "import sys\nprint('hello')\nprint('trouble', file=sys.stderr, flush=True)\nprint('x' * 3_000_000)"
        + BELL
    )
    ended = await (await start(an_order(code))).ended()
    assert ended.code == 0
    assert ended.stdout.count("hello") == ended.stdout.count("trouble") == 1
    assert OUTPUT_LIMIT < len(ended.stdout) < OUTPUT_LIMIT + 1000


async def test_a_failure_is_in_the_termination_message_the_exit_code_and_the_log(
    start: Start, gateway: GatewayStub
) -> None:
    ended = await (await start(an_order("def f():\n    return 1 / 0\nf()"))).ended()
    assert_failed(ended, Reason.USER_CODE_ERROR, "ZeroDivisionError: division by zero (line 2)")
    assert ended.failure is not None
    assert ended.failure.line == 2
    assert "return 1 / 0" in (ended.failure.traceback or "")
    assert "division by zero" in ended.stderr
    assert gateway.results == []


async def test_a_gateway_that_is_not_there_yet_is_waited_for(start: Start, gateway: GatewayStub) -> None:
    await gateway.close()
    executor = await start(an_order())
    async with asyncio.timeout(60):
        while b"trying again" not in await executor.line():
            pass
    await gateway.open()
    assert (await executor.ended()).code == 0


async def test_polling_goes_on_through_204_401_and_503(start: Start, gateway: GatewayStub) -> None:
    gateway.answers["/v1/work"].extend([204, 503, 401, 204, 500])
    assert (await (await start(an_order())).ended()).code == 0
    assert gateway.requests.count("/v1/work") == 6


async def test_a_token_that_is_rotated_is_read_again(
    start: Start, gateway: GatewayStub, tmp_path: Path
) -> None:
    gateway.order = None
    executor = await start(None)
    await gateway.until(lambda: "/v1/work" in gateway.requests)
    gateway.token = "another-token"
    (tmp_path / "token").write_text(gateway.token)
    gateway.order = an_order()
    assert (await executor.ended()).code == 0


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


@pytest.mark.parametrize("reason", ["SourceChanged", "AttemptOver"])
async def test_a_refusal_of_work_ends_the_executor(start: Start, gateway: GatewayStub, reason: str) -> None:
    gateway.answers["/v1/work"].append(Refusal(reason=reason, message="it is not what it was"))
    ended = await (await start(an_order())).ended()
    expected = Reason.SOURCE_CHANGED if reason == "SourceChanged" else Reason.EXECUTOR_LOST
    assert_failed(ended, expected, "it is not what it was")


async def test_a_refusal_of_progress_ends_the_work_at_once(start: Start, gateway: GatewayStub) -> None:
    gateway.answers["/v1/progress"].append(Refusal(reason="AttemptOver", message="the job was cancelled"))
    ended = await (await start(an_order(ENDLESS))).ended()
    assert_failed(ended, Reason.EXECUTOR_LOST, "this attempt is over: the job was cancelled")
    assert gateway.results == []


async def test_a_refused_result_of_an_attempt_that_is_over_is_dropped(
    start: Start, gateway: GatewayStub
) -> None:
    gateway.answers["/v1/result"].append(Refusal(reason="AttemptOver", message="attempt 3 is under way"))
    ended = await (await start(an_order())).ended()
    assert_failed(ended, Reason.EXECUTOR_LOST, "attempt 3 is under way")
    assert '"counts"' not in ended.stdout


@pytest.mark.parametrize("reason", ["ResultTooLarge", "OutputConflict"])
async def test_a_result_without_a_place_is_printed(start: Start, gateway: GatewayStub, reason: str) -> None:
    gateway.answers["/v1/result"].append(Refusal(reason=reason, message="there is no room"))
    ended = await (await start(an_order())).ended()
    assert_failed(
        ended, ExecutorReason(reason), "there is no room; the whole result is in the pod's log (kubectl logs)"
    )
    (line,) = (line for line in ended.stdout.splitlines() if line.startswith("{"))
    assert sum(json.loads(line)["results"]["counts"].values()) == 1024


async def test_progress_tells_the_stages_of_a_job_that_takes_its_time(
    start: Start, gateway: GatewayStub
) -> None:
    slow = "import time; time.sleep(0.5)" + BELL.replace("qc.cx(0, 1)", "qc.cx(0, 1); qc.t(0)")
    gateway.answers["/v1/result"].extend([503, 503])
    ended = await (await start(an_order(slow))).ended()
    assert ended.code == 0
    stages = [progress.stage for progress in gateway.progress]
    assert stages[0] is Stage.BUILDING
    assert stages[-1] is Stage.HANDING_IN
    assert all(
        p.job_uid == "11111111-2222-3333-4444-555555555555" and p.attempt == 2 for p in gateway.progress
    )


async def test_a_gateway_that_hangs_on_progress_does_not_hold_up_the_result(
    start: Start, gateway: GatewayStub
) -> None:
    gateway.answers["/v1/progress"].append("hang")
    assert (await (await start(an_order())).ended()).code == 0


async def test_a_result_outlives_a_gateway_that_restarts(start: Start, gateway: GatewayStub) -> None:
    executor = await start(an_order("import time; time.sleep(1)" + BELL))
    await gateway.until(lambda: gateway.handed_out > 0)
    await gateway.close()
    async with asyncio.timeout(60):
        while b"/v1/result" not in await executor.line():
            pass
    gateway.answers["/v1/result"].extend([503, 401])
    await gateway.open()
    assert (await executor.ended()).code == 0
    assert len(gateway.results) == 1


async def test_told_to_stop_while_waiting_it_stops(start: Start, gateway: GatewayStub) -> None:
    gateway.order = None
    executor = await start(None)
    await gateway.until(lambda: "/v1/work" in gateway.requests)
    executor.process.send_signal(signal.SIGTERM)
    assert_failed(await executor.ended(), Reason.EXECUTOR_LOST, "the pod was told to stop")


async def test_told_to_stop_while_working_it_ends_the_child(start: Start, gateway: GatewayStub) -> None:
    executor = await start(an_order(ENDLESS))
    await executor.printed("started")
    children = family(executor.pid)
    executor.process.send_signal(signal.SIGTERM)
    assert_failed(await executor.ended(), Reason.EXECUTOR_LOST, "the pod was told to stop")
    assert len(children) == 3
    assert not set(children) & set(processes())


async def test_told_to_stop_while_handing_in_it_hands_in_first(start: Start, gateway: GatewayStub) -> None:
    gateway.answers["/v1/result"].extend([503, 503, 503])
    executor = await start(an_order())
    await gateway.until(lambda: "/v1/result" in gateway.requests)
    executor.process.send_signal(signal.SIGTERM)
    ended = await executor.ended()
    assert ended.code == 0, ended
    assert len(gateway.results) == 1


async def test_a_volume_gets_the_files_and_the_gateway_the_digest(
    start: Start, gateway: GatewayStub, tmp_path: Path
) -> None:
    output = tmp_path / "output"
    output.mkdir()
    order = an_order(output=Output(type="pvc", format="qpy"))
    ended = await (await start(order, EXECUTOR_OUTPUT_DIR=str(output))).ended()
    assert ended.code == 0, ended.stderr
    (result,) = gateway.results
    assert (result.document, result.extras) == (b"", {})
    assert sorted(path.name for path in output.iterdir()) == ["circuit.qpy", "results.json"]
    content = (output / "results.json").read_bytes()
    assert result.digest == "sha256:" + hashlib.sha256(content).hexdigest()
    assert json.loads(content)["results"]["success"] is True


async def test_a_volume_that_cannot_be_written_does_not_lose_the_result(
    start: Start, gateway: GatewayStub, tmp_path: Path
) -> None:
    (tmp_path / "output").write_text("this is no folder")
    order = an_order(output=Output(type="pvc"))
    ended = await (await start(order, EXECUTOR_OUTPUT_DIR=str(tmp_path / "output"))).ended()
    assert_failed(ended, Reason.OUTPUT_CONFLICT, "the result cannot be written to the volume")
    assert '"counts"' in ended.stdout


async def test_a_volume_that_is_not_mounted_is_noticed_before_the_work(
    start: Start, gateway: GatewayStub
) -> None:
    ended = await (await start(an_order(ENDLESS, output=Output(type="pvc")))).ended()
    assert_failed(ended, Reason.OUTPUT_CONFLICT, "this pod has none mounted")


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


@pytest.mark.parametrize("missing", ["EXECUTOR_GATEWAY_URL", "EXECUTOR_TOKEN_FILE", "EXECUTOR_WORK_DIR"])
async def test_a_missing_setting_is_named(start: Start, gateway: GatewayStub, missing: str) -> None:
    without: dict[str, str | None] = {missing: None}
    ended = await (await start(an_order(), command=SUPERVISOR, **without)).ended()
    assert_failed(ended, Reason.EXECUTOR_CRASHED, f"{missing} is not set")


async def test_an_unknown_sandbox_layer_is_refused(start: Start, gateway: GatewayStub) -> None:
    ended = await (await start(an_order(), EXECUTOR_SANDBOX="landlock,firewall")).ended()
    assert_failed(ended, Reason.EXECUTOR_CRASHED, "'firewall' is no sandbox layer")


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


async def test_a_zygote_that_dies_loses_the_attempt_but_not_the_report(
    start: Start, gateway: GatewayStub
) -> None:
    executor = await start(an_order(ENDLESS))
    await executor.printed("started")
    os.kill(family(executor.pid)[1], signal.SIGKILL)
    assert_failed(await executor.ended(), Reason.EXECUTOR_LOST, "the executor lost its zygote")


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


def processes() -> dict[int, int]:
    """The parent of each process that there is."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue
    return parents


def family(leader: int) -> list[int]:
    """The supervisor, its zygote and the children: all that descend from `leader`."""
    parents = processes()
    found = [leader]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


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
