"""What is handed in, and where it goes: the result document, its other formats, volumes, the log."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json
import math
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from qiskit import qpy

from executor_image.gateway_client import LONGEST_DELAY, REFUSED_SECONDS, GatewayClient, GatewayRefused
from executor_image.settings import Settings
from messages.failure import ExecutorReason
from messages.failure import ExecutorReason as Reason
from messages.work import HandIn, Output, Refusal
from tests.executor.authority import SERVER_NAME
from tests.executor.gateway_stub import GatewayStub
from tests.executor.orders import BELL, ENDLESS, an_order
from tests.executor.process import Start, assert_failed
from tests.gateway.test_output import a_summary

SWEEP = """
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
a = Parameter("a")
qc = QuantumCircuit(1, 1, name="turn")
qc.rx(a, 0)
qc.measure(0, 0)
"""


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
    assert result.summary.execution_seconds <= result.summary.total_seconds < 600  # it was queued for months
    assert result.summary.circuit.hash == document["circuit"]["hash"]
    assert document["execution"]["seed_simulator"] == 7
    assert document["execution"]["seed_transpiler"] is not None


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


async def test_a_csv_tells_circuits_of_one_name_and_equal_bindings_apart(
    start: Start, gateway: GatewayStub
) -> None:
    code = (
        SWEEP
        + "twin = QuantumCircuit(1, 1, name='turn')\ntwin.x(0)\ntwin.measure(0, 0)\ncircuits = [qc, twin]\n"
    )
    order = an_order(
        code,
        parameters=[{"a": 0.0}, {"a": 0.0}],
        entrypoint="circuits",
        output=Output(type="configmap", format="csv"),
    )
    ended = await (await start(order)).ended()
    assert ended.code == 0, ended.stderr
    (index, *columns), *rows = csv.reader(io.StringIO(gateway.results[0].extras["results.csv"].decode()))
    assert (index, columns) == ("index", ["circuit", "parameters", "outcome", "count"])
    circuits = the_document(gateway)["results"]["circuits"]
    assert len(circuits) == 4
    for number, circuit in enumerate(circuits):
        counts = {outcome: int(count) for place, *_, outcome, count in rows if place == str(number)}
        assert counts == circuit["counts"]


async def test_every_circuit_has_the_optimization_level_that_it_was_made_with(
    start: Start, gateway: GatewayStub
) -> None:
    code = (
        BELL
        + """
from qiskit.circuit.random import random_clifford_circuit
other = random_clifford_circuit(3, 12, seed=1)
other.measure_all()
circuits = [qc, other]
"""
    )
    execution: dict[str, Any] = {"method": "stabilizer", "noise_model": "manila", "optimization_level": 3}
    order = an_order(code, entrypoint="circuits", seed_transpiler=12, **execution)
    ended = await (await start(order)).ended()
    assert ended.code == 0, ended.stderr
    document = the_document(gateway)
    first, other = (one["optimization_level"] for one in document["results"]["circuits"])
    assert (document["execution"]["optimization_level"], first) == (3, 3)
    assert other < 2, "it has turns that are no quarter turns from level 2 on"


async def test_the_summary_describes_the_widest_of_several_circuits(
    start: Start, gateway: GatewayStub
) -> None:
    code = """
from qiskit import QuantumCircuit
circuits = [QuantumCircuit(n, name=f"of-{n}") for n in (2, 5, 3)]
for one in circuits:
    one.x(range(one.num_qubits))
    one.measure_all()
"""
    ended = await (await start(an_order(code))).ended()
    assert ended.code == 0, ended.stderr
    summary = gateway.results[0].summary
    assert (summary.circuit.name, summary.circuit.qubits, summary.circuits) == ("of-5", 5, 3)
    assert summary.top_counts == {"11": 1024}


async def test_no_name_becomes_a_formula_in_a_spreadsheet(start: Start, gateway: GatewayStub) -> None:
    code = SWEEP.replace('"turn"', '"=1+1"').replace('Parameter("a")', 'Parameter("@a")')
    order = an_order(code, parameters=[{"@a": -0.0}], output=Output(type="configmap", format="csv"))
    await (await start(order)).ended()
    (row,) = csv.DictReader(io.StringIO(gateway.results[0].extras["results.csv"].decode()))
    cells = {"circuit": "'=1+1", "parameters": "'@a=-0.0", "outcome": "0", "count": "1024"}
    assert row == {"index": "0", **cells}
    (run,) = the_document(gateway)["results"]["circuits"]
    assert (run["name"], run["parameters"]) == ("=1+1", {"@a": -0.0})


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


@pytest.mark.parametrize("reason", ["ResultTooLarge", "OutputConflict"])
async def test_a_result_without_a_place_is_printed(start: Start, gateway: GatewayStub, reason: str) -> None:
    gateway.answers["/v1/result"].append(Refusal(reason=reason, message="there is no room"))
    ended = await (await start(an_order())).ended()
    assert_failed(
        ended, ExecutorReason(reason), "there is no room; the whole result is in the pod's log (kubectl logs)"
    )
    (line,) = (line for line in ended.stdout.splitlines() if line.startswith("{"))
    assert sum(json.loads(line)["results"]["counts"].values()) == 1024


NO_ROOM = Refusal(
    reason="OutputConflict", message="the cluster refused ConfigMap bell-results: exceeded quota: few"
)


async def test_a_result_that_the_cluster_refuses_for_a_while_is_kept(
    start: Start, gateway: GatewayStub
) -> None:
    gateway.answers["/v1/result"].extend([(503, NO_ROOM), (503, NO_ROOM)])
    ended = await (await start(an_order())).ended()
    assert ended.code == 0, ended
    assert len(gateway.results) == 1
    assert '"counts"' not in ended.stdout


async def test_a_result_that_the_cluster_goes_on_refusing_is_printed(
    start: Start, gateway: GatewayStub
) -> None:
    gateway.answers["/v1/result"].append((503, NO_ROOM))
    at_once = "import executor_image.gateway_client as client, executor_image.supervisor as supervisor\n"
    at_once += "client.REFUSED_SECONDS = 0.0\nsupervisor.main()"
    ended = await (await start(an_order(), command=("-c", at_once))).ended()
    assert_failed(ended, Reason.OUTPUT_CONFLICT, f"{NO_ROOM.message}; the whole result is in the pod's log")
    (line,) = (line for line in ended.stdout.splitlines() if line.startswith("{"))
    assert sum(json.loads(line)["results"]["counts"].values()) == 1024


async def test_a_webhooks_many_words_do_not_hide_where_the_result_is(
    start: Start, gateway: GatewayStub
) -> None:
    gateway.answers["/v1/result"].append(Refusal(reason="OutputConflict", message="no " * 1000))
    assert_failed(await (await start(an_order())).ended(), Reason.OUTPUT_CONFLICT, "is in the pod's log")


@dataclass
class Waits:
    """Time that passes only while somebody sleeps."""

    now: float = 1000.0

    async def sleep(self, seconds: float) -> None:
        self.now += seconds

    async def hand_in(self, gateway: GatewayStub, folder: Path, *, deadline: float = math.inf) -> float:
        """Seconds after which a result is given up."""
        (folder / "token").write_text(gateway.token)
        settings = Settings.read(
            {
                "EXECUTOR_GATEWAY_URL": gateway.url,
                "EXECUTOR_GATEWAY_CA": gateway.authority.pem,
                "EXECUTOR_GATEWAY_SERVER_NAME": SERVER_NAME,
                "EXECUTOR_TOKEN_FILE": str(folder / "token"),
                "EXECUTOR_WORK_DIR": str(folder),
            }
        )
        result = HandIn(job_uid="job-1", attempt=1, digest="", document=b"{}", summary=a_summary())
        began = self.now
        async with GatewayClient.open(settings) as opened:
            client = dataclasses.replace(
                opened, sleep=self.sleep, monotonic=lambda: self.now, uniform=lambda low, high: 1.0
            )
            with pytest.raises(GatewayRefused, match="exceeded quota"):
                await client.hand_in(result, deadline=deadline)
        return self.now - began


async def test_a_refusal_by_the_cluster_is_waited_out_for_two_minutes(
    gateway: GatewayStub, tmp_path: Path
) -> None:
    gateway.answers["/v1/result"].extend([(503, NO_ROOM)] * 100)
    took = await Waits().hand_in(gateway, tmp_path)
    assert REFUSED_SECONDS - LONGEST_DELAY <= took <= REFUSED_SECONDS


async def test_an_api_server_that_is_away_takes_none_of_these_two_minutes(
    gateway: GatewayStub, tmp_path: Path
) -> None:
    away = Refusal(reason="GatewayUnavailable", message="the API server answered Unreachable")
    gateway.answers["/v1/result"].extend([*[(503, away)] * 50, *[(503, NO_ROOM)] * 100])
    assert await Waits().hand_in(gateway, tmp_path) > 40 * LONGEST_DELAY + REFUSED_SECONDS - LONGEST_DELAY


async def test_a_refusal_by_the_cluster_is_told_before_the_attempts_time_is_over(
    gateway: GatewayStub, tmp_path: Path
) -> None:
    gateway.answers["/v1/result"].extend([(503, NO_ROOM)] * 100)
    waits = Waits()
    assert 0 < await waits.hand_in(gateway, tmp_path, deadline=waits.now + 15) <= 15


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
