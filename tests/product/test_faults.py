"""Everything that goes wrong, and what becomes of it: each line one job on the real thing."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

import pytest

from kube import CONFIG_MAPS, QISKIT_JOBS, Invalid
from tests.product.circuits import (
    BELL,
    EXITS,
    FORBIDDEN,
    HOGS_MEMORY,
    KILLS_ITSELF,
    LOOPS,
    LOOPS_IN_C,
    NO_CIRCUIT,
    NO_MEASUREMENT,
    RAISES_ON_LINE_3,
    SYNTAX_ERROR,
    guarded,
)
from tests.product.conftest import Lab, phase

pytestmark = [pytest.mark.node]


@dataclass(frozen=True)
class Fault:
    """A job that must fail: for which reason, and with which words for its user."""

    what: str
    reason: str
    says: str
    code: str | None = None
    spec: dict[str, Any] = field(default_factory=dict)


SOON: dict[str, Any] = {"execution": {"maxExecutionTime": "4s"}}
SMALL: dict[str, Any] = {"resources": {"limits": {"memory": "512Mi"}}}
QUICKLY: dict[str, Any] = {"timeouts": {"pending": "2s"}}
FORTY_QUBITS = "from qiskit import QuantumCircuit\nqc = QuantumCircuit(40)\n" + (
    "for q in range(40):\n    qc.ry(0.3, q)\nfor q in range(39):\n    qc.cry(0.2, q, q + 1)\nqc.measure_all()\n"
)


def configmap(name: str, key: str) -> dict[str, Any]:
    return {"circuit": {"source": "configmap", "configMapRef": {"name": name, "key": key}}}


FAULTS = [
    Fault("a syntax error", "CircuitSyntaxError", "line 2", SYNTAX_ERROR),
    Fault("no circuit", "NoCircuit", "answer", NO_CIRCUIT),
    Fault("no measurement", "NoMeasurement", "measure_all", NO_MEASUREMENT),
    Fault("an exception in user code", "UserCodeError", "no such angle", RAISES_ON_LINE_3),
    Fault("sys.exit in user code", "UserCodeExited", "3", EXITS),
    Fault("an endless loop", "ExecutionTimeout", "maxExecutionTime", LOOPS, SOON),
    Fault("an endless call into C", "ExecutionTimeout", "maxExecutionTime", LOOPS_IN_C, SOON),
    Fault("a memory hog", "OutOfMemory", "memory", HOGS_MEMORY, SMALL),
    Fault("a crash of the interpreter", "ExecutorCrashed", "SIGSEGV", KILLS_ITSELF),
    Fault("40 qubits without the memory", "InsufficientResources", "memory", FORTY_QUBITS, SMALL),
    Fault("a QiskitBackend that is not there", "BackendNotFound", "nobody", BELL,
          {"backend": {"type": "local_simulator", "name": "nobody"}}),
    Fault("a ConfigMap that never comes", "SourceNotFound", "absent", None, configmap("absent", "a.py") | QUICKLY),
    Fault("a key that is not in it", "SourceNotFound", "b.py", None, configmap("there", "b.py") | QUICKLY),
    Fault("a URL to the metadata address", "SourceForbidden", "169.254.169.254", None,
          {"circuit": {"source": "url", "url": "https://169.254.169.254/latest/user-data"}}),
    Fault("a URL to loopback", "SourceForbidden", "127.0.0.1", None,
          {"circuit": {"source": "url", "url": "https://127.0.0.1/circuit.py"}}),
    Fault("a Git repository on a private address", "SourceForbidden", "10.0.0.1", None,
          {"circuit": {"source": "git", "gitRef": {"repository": "https://10.0.0.1/r.git", "path": "a.py"}}}),
    Fault("an output name that is somebody else's", "OutputConflict", "there", BELL, {"output": {"location": "there"}}),
    Fault("a device that nobody has", "InvalidSpec", "manila", BELL, {"execution": {"noiseModel": "atlantis"}}),
    Fault("no time left in total", "TotalTimeout", "2s", LOOPS, {"timeouts": {"total": "2s"}}),
]  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.what for fault in FAULTS])
async def test_what_cannot_work_ends_with_its_reason(lab: Lab, fault: Fault) -> None:
    there = {"metadata": {"name": "there"}, "data": {"a.py": BELL}}
    await lab.client.create(CONFIG_MAPS, there, lab.namespace)
    await lab.submit(fault.code, **fault.spec)
    job = await lab.ended()
    status = job["status"]
    assert (status["phase"], status["reason"]) == ("Failed", fault.reason), status.get("message")
    assert fault.says in status["message"]
    assert status.get("retryCount", 0) == 0
    failed = [c for c in status["conditions"] if c["type"] == "Failed"]
    assert [(c["status"], c["reason"]) for c in failed] == [("True", fault.reason)]
    await lab.until_told("Warning", "Failed", fault.says)
    # Nothing was overwritten, and nothing is left that runs.
    assert (await lab.config_map("there"))["data"] == {"a.py": BELL}
    await lab.nothing_runs()


REFUSED = {
    "no shots": ({"execution": {"shots": 0}}, "shots"),
    "too many shots": ({"execution": {"shots": 100_001}}, "shots"),
    "two sources": ({"circuit": {"source": "inline", "code": "x", "url": "https://x.example/"}}, "circuit"),
    "a level that is not": ({"execution": {"optimizationLevel": 4}}, "optimizationLevel"),
    "a duration that is none": ({"timeouts": {"pending": "soon"}}, "pending"),
    "a backend of a later release": ({"backend": {"type": "ibm_quantum"}}, "local_simulator"),
    "inline code of 1 MiB": ({"circuit": {"source": "inline", "code": "#" * (1 << 20)}}, "code"),
}


@pytest.mark.parametrize(("spec", "names"), REFUSED.values(), ids=REFUSED.keys())
async def test_what_is_malformed_is_refused_by_name(lab: Lab, spec: dict[str, Any], names: str) -> None:
    with pytest.raises(Invalid, match=names):
        await lab.submit(None if "circuit" in spec else BELL, **spec)


@pytest.mark.parametrize("attempt", FORBIDDEN.values(), ids=FORBIDDEN.keys())
async def test_hostile_code_gets_nowhere(lab: Lab, attempt: str) -> None:
    await lab.submit(guarded(attempt), execution={"shots": 10})
    job = await lab.ended()
    assert phase(job) == "Completed", job["status"]["message"]
    assert (await lab.result())["results"]["counts"] == {"0": 10}


async def test_quotes_and_shell_characters_are_only_characters(lab: Lab) -> None:
    text = "\"'`$(touch /tmp/owned);|&\\n{}<>%s"
    await lab.submit(
        f"{BELL}\nremark = {text!r}\nassert len(remark) == {len(text)}\n", execution={"shots": 10}
    )
    assert phase(await lab.ended()) == "Completed"


async def test_fifty_megabytes_of_output_do_no_harm(lab: Lab) -> None:
    await lab.submit(f"{BELL}\nfor _ in range(50):\n    print('x' * (1 << 20))\n", execution={"shots": 10})
    assert phase(await lab.ended()) == "Completed"


async def test_three_hundred_kilobytes_of_code_run(lab: Lab) -> None:
    await lab.submit(BELL + "# a remark\n" * 27_000, execution={"shots": 10})
    assert phase(await lab.ended()) == "Completed"


async def test_code_that_takes_its_time_to_build_runs_all_the_same(lab: Lab) -> None:
    """The validator's limit is no verdict: the job goes on, and its executor waits as long as it may."""
    await lab.submit(f"import time\ntime.sleep(15)\n{BELL}", execution={"shots": 10})
    job = await lab.ended()
    assert phase(job) == "Completed"
    validated = next(c for c in job["status"]["conditions"] if c["type"] == "Validated")
    assert (validated["status"], validated["reason"]) == ("Unknown", "ValidationTimedOut")


async def test_a_config_map_that_changes_after_validation_is_not_run(lab: Lab) -> None:
    """The node is kept from starting the pod until the source has changed, by an image it cannot know."""
    source = {"metadata": {"name": "moving"}, "data": {"a.py": f"import time\ntime.sleep(3)\n{BELL}"}}
    await lab.client.create(CONFIG_MAPS, source, lab.namespace)
    await lab.submit(None, **configmap("moving", "a.py"))
    await lab.until(lambda job: job.get("status", {}).get("source", {}).get("hash"))
    await lab.client.merge_patch(
        CONFIG_MAPS, "moving", {"data": {"a.py": BELL + "# changed\n"}}, lab.namespace
    )
    job = await lab.ended()
    # Either the executor had its work before the change, or it was refused; never the changed code.
    if phase(job) == "Failed":
        assert job["status"]["reason"] == "SourceChanged"
    else:
        assert (await lab.result())["circuit"]["hash"] == job["status"]["circuitMetadata"]["hash"]


async def test_two_jobs_with_one_output_name_lose_nothing(lab: Lab) -> None:
    for name in ("one", "two"):
        await lab.submit(BELL, name=name, output={"location": "shared"}, execution={"shots": 10})
    ends = {name: await lab.ended(name) for name in ("one", "two")}
    stored = [end for end in ends.values() if phase(end) == "Completed"]
    assert stored, ends
    for end in stored:
        kept = await lab.config_map(end["status"]["results"]["location"])
        assert kept["metadata"]["labels"]["quantum.io/job-uid"] == end["metadata"]["uid"]
    for end in ends.values():
        if end not in stored:
            assert end["status"]["reason"] == "OutputConflict"


async def test_qpy_in_binary_data_runs(lab: Lab) -> None:
    import io

    from qiskit import QuantumCircuit, qpy

    circuit = QuantumCircuit(1)
    circuit.x(0)
    circuit.measure_all()
    file = io.BytesIO()
    qpy.dump(circuit, file)
    encoded = base64.b64encode(file.getvalue()).decode()
    await lab.client.create(
        CONFIG_MAPS, {"metadata": {"name": "frozen"}, "binaryData": {"c.qpy": encoded}}, lab.namespace
    )
    await lab.submit(None, **configmap("frozen", "c.qpy"), execution={"shots": 7})
    assert phase(await lab.ended()) == "Completed"
    assert (await lab.result())["results"]["counts"] == {"1": 7}


async def test_a_job_waits_visibly_for_a_config_map_that_comes_later(lab: Lab) -> None:
    await lab.submit(None, **configmap("later", "a.py"), execution={"shots": 10})
    waiting = await lab.until(lambda job: "later" in job.get("status", {}).get("message", ""))
    assert phase(waiting) in ("Pending", "Validating")
    source = {"metadata": {"name": "later"}, "data": {"a.py": BELL}}
    await lab.client.create(CONFIG_MAPS, source, lab.namespace)
    assert phase(await lab.ended()) == "Completed"


async def test_the_same_name_made_again_at_once_is_another_job(lab: Lab) -> None:
    first = await lab.submit(BELL, execution={"shots": 10})
    await lab.client.delete(QISKIT_JOBS, "job", lab.namespace)
    second = await lab.submit(BELL, execution={"shots": 20})
    job = await lab.ended()
    assert phase(job) == "Completed"
    assert job["metadata"]["uid"] == second["metadata"]["uid"] != first["metadata"]["uid"]
    assert sum((await lab.result())["results"]["counts"].values()) == 20


async def test_a_result_that_somebody_made_up_settles_nothing(lab: Lab) -> None:
    """Everybody who may create ConfigMaps can copy labels and owners; nobody can copy the operator's seal."""
    await lab.submit(BELL, name="honest", execution={"shots": 10})
    assert phase(await lab.ended("honest")) == "Completed"
    genuine = await lab.config_map("honest-results")
    victim = await lab.submit(f"import time\ntime.sleep(3)\n{BELL}", name="victim", execution={"shots": 10})
    uid = victim["metadata"]["uid"]
    forged = {
        "metadata": {
            "name": f"result-{uid}",
            "labels": genuine["metadata"]["labels"] | {"quantum.io/job-uid": uid, "quantum.io/attempt": "1"},
            "annotations": genuine["metadata"]["annotations"],
        },
        "data": {"results.json": '{"results":{"counts":{"forged":10}}}'},
    }
    await lab.client.create(CONFIG_MAPS, forged, lab.namespace)
    job = await lab.ended("victim")
    assert phase(job) == "Completed"
    assert job["status"]["results"]["location"] == "victim-results"
    assert "forged" not in (await lab.result("victim"))["results"]["counts"]
