"""What is handed in, and where it goes: the result document, its other formats, volumes, the log."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
from qiskit import qpy

from messages.failure import ExecutorReason
from messages.failure import ExecutorReason as Reason
from messages.work import Output, Refusal
from tests.executor.gateway_stub import GatewayStub
from tests.executor.orders import BELL, ENDLESS, an_order
from tests.executor.process import Start, assert_failed

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


async def test_no_name_becomes_a_formula_in_a_spreadsheet(start: Start, gateway: GatewayStub) -> None:
    code = SWEEP.replace('"turn"', '"=1+1"').replace('Parameter("a")', 'Parameter("@a")')
    order = an_order(code, parameters=[{"@a": -0.0}], output=Output(type="configmap", format="csv"))
    await (await start(order)).ended()
    (row,) = csv.DictReader(io.StringIO(gateway.results[0].extras["results.csv"].decode()))
    assert row == {"circuit": "'=1+1", "parameters": "'@a=-0.0", "outcome": "0", "count": "1024"}
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
