"""A whole executor against a gateway: what it asks, when it waits, and how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from executor_image.console import OUTPUT_LIMIT
from messages.failure import ExecutorReason as Reason
from messages.work import Refusal, Stage
from tests.executor.gateway_stub import GatewayStub
from tests.executor.orders import BELL, ENDLESS, an_order
from tests.executor.process import SUPERVISOR, Start, assert_failed, family, processes


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


@pytest.mark.parametrize("path", ["/v1/work", "/v1/progress", "/v1/result"])
async def test_a_suspended_jobs_executor_says_that_it_was_told_to_stop(
    start: Start, gateway: GatewayStub, path: str
) -> None:
    gateway.answers[path].append(Refusal(reason="Suspended", message="QiskitJob bell was suspended"))
    ended = await (await start(an_order(ENDLESS if path == "/v1/progress" else BELL))).ended()
    assert_failed(ended, Reason.SUSPENDED, "QiskitJob bell was suspended")
    assert '"counts"' not in ended.stdout


async def test_a_refused_result_of_an_attempt_that_is_over_is_dropped(
    start: Start, gateway: GatewayStub
) -> None:
    gateway.answers["/v1/result"].append(Refusal(reason="AttemptOver", message="attempt 3 is under way"))
    ended = await (await start(an_order())).ended()
    assert_failed(ended, Reason.EXECUTOR_LOST, "attempt 3 is under way")
    assert '"counts"' not in ended.stdout


async def test_progress_tells_the_stages_of_a_job_that_takes_its_time(
    start: Start, gateway: GatewayStub
) -> None:
    code = """
import time
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
time.sleep(0.5)
qc = QuantumCircuit(12)
for qubit in range(12):
    qc.rx(Parameter("a"), qubit) if qubit == 0 else qc.rx(0.3, qubit)
qc.measure_all()
"""
    bindings = [{"a": float(n)} for n in range(500)]
    ended = await (await start(an_order(code, parameters=bindings))).ended()
    assert ended.code == 0, ended.stderr
    stages = [progress.stage for progress in gateway.progress]
    assert stages[0] is Stage.BUILDING
    assert stages[-1] is Stage.RUNNING
    assert stages == sorted(stages, key=list(Stage).index)
    assert gateway.progress[-1].circuits_total == 500
    assert all(
        p.job_uid == "11111111-2222-3333-4444-555555555555" and p.attempt == 2 for p in gateway.progress
    )


async def test_a_report_never_comes_after_the_result(start: Start, gateway: GatewayStub) -> None:
    gateway.answers["/v1/result"].extend([503, 503, 503])
    assert (await (await start(an_order())).ended()).code == 0
    assert gateway.requests.index("/v1/result") > max(
        index for index, path in enumerate(gateway.requests) if path == "/v1/progress"
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


@pytest.mark.parametrize("missing", ["EXECUTOR_GATEWAY_URL", "EXECUTOR_TOKEN_FILE", "EXECUTOR_WORK_DIR"])
async def test_a_missing_setting_is_named(start: Start, gateway: GatewayStub, missing: str) -> None:
    without: dict[str, str | None] = {missing: None}
    ended = await (await start(an_order(), command=SUPERVISOR, **without)).ended()
    assert_failed(ended, Reason.EXECUTOR_CRASHED, f"{missing} is not set")


async def test_an_unknown_sandbox_layer_is_refused(start: Start, gateway: GatewayStub) -> None:
    ended = await (await start(an_order(), EXECUTOR_SANDBOX="landlock,firewall")).ended()
    assert_failed(ended, Reason.EXECUTOR_CRASHED, "'firewall' is no sandbox layer")


async def test_a_zygote_that_dies_loses_the_attempt_but_not_the_report(
    start: Start, gateway: GatewayStub
) -> None:
    executor = await start(an_order(ENDLESS))
    await executor.printed("started")
    os.kill(family(executor.pid)[1], signal.SIGKILL)
    assert_failed(await executor.ended(), Reason.EXECUTOR_LOST, "the executor lost its zygote")
