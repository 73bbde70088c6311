"""What the service says about circuits, asked over HTTP as the controller and people with curl do."""

import base64
import io

import aiohttp
import pytest
from qiskit import QuantumCircuit, qpy

from tests.validation.conftest import BELL, Post

QASM2 = 'OPENQASM 2.0; include "qelib1.inc"; qreg q[2]; creg c[2]; h q[0]; cx q[0],q[1]; measure q -> c;'
QASM3 = 'OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; bit[2] c; h q[0]; cx q[0], q[1]; c = measure q;'


async def test_a_bell_circuit_is_valid_and_described(post: Post) -> None:
    said = await post("/validate", code=BELL)
    assert (said["verdict"], said["valid"], said["errors"]) == ("valid", True, [])
    assert (said["circuits"], said["qubits"], said["clbits"], said["depth"]) == (1, 2, 2, 3)
    assert (said["gates"], said["gate_types"]) == (2, {"h": 1, "cx": 1})
    assert said["method"] == "stabilizer"
    assert said["circuit_hash"].startswith("sha256:")
    assert said["estimated_execution_time"] is None


@pytest.mark.parametrize("code", [QASM2, QASM3], ids=["qasm2", "qasm3"])
async def test_openqasm_is_told_by_its_first_line(post: Post, code: str) -> None:
    assert (await post("/validate", code=code))["qubits"] == 2


async def test_a_binary_source_comes_in_base64(post: Post) -> None:
    circuit = QuantumCircuit(3)
    circuit.measure_all()
    written = io.BytesIO()
    qpy.dump(circuit, written)
    said = await post("/validate", source=base64.b64encode(written.getvalue()).decode(), format="qpy")
    assert (said["verdict"], said["qubits"]) == ("valid", 3)


async def test_delays_without_their_units_are_invalid_where_there_is_noise(post: Post) -> None:
    circuit = QuantumCircuit(1)
    circuit.delay(100, 0, unit="us")
    circuit.measure_all()
    written = io.BytesIO()
    qpy.dump(circuit, written)
    source = base64.b64encode(written.getvalue()).decode()
    assert (await post("/validate", source=source))["verdict"] == "valid"
    said = await post("/validate", source=source, noise=True)
    assert (said["verdict"], said["errors"][0]["reason"]) == ("invalid", "CircuitInvalid")


async def test_the_widest_of_several_circuits_is_described(post: Post) -> None:
    code = """
from qiskit import QuantumCircuit
circuits = [QuantumCircuit(n) for n in (2, 5, 3)]
for one in circuits:
    one.measure_all()
"""
    said = await post("/validate", code=code)
    assert (said["circuits"], said["qubits"]) == (3, 5)


async def test_parameters_are_bound(post: Post) -> None:
    code = """
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter
qc = QuantumCircuit(1)
qc.rx(Parameter("theta"), 0)
qc.measure_all()
"""
    assert (await post("/validate", code=code, parameters=[{"theta": 1.0}, {"theta": 2.0}]))["circuits"] == 2
    assert (await post("/validate", code=code))["verdict"] == "invalid"


FAULTS = {
    "UserCodeError": "x = 1\n1 / 0",
    "CircuitSyntaxError": "qc = QuantumCircuit(",
    "NoCircuit": "x = 1",
    "NoMeasurement": "from qiskit import QuantumCircuit\nqc = QuantumCircuit(1)",
    "UserCodeExited": "import sys\nsys.exit(3)",
}


@pytest.mark.parametrize("reason", FAULTS)
async def test_a_fault_of_the_code_is_a_verdict_with_its_reason(post: Post, reason: str) -> None:
    said = await post("/validate", code=FAULTS[reason])
    assert (said["verdict"], said["valid"]) == ("invalid", False)
    assert said["errors"][0]["reason"] == reason


async def test_an_error_names_the_users_line(post: Post) -> None:
    (error,) = (await post("/validate", code="x = 1\n1 / 0"))["errors"]
    assert error["line"] == 2
    assert "ZeroDivisionError" in error["traceback"]


async def test_what_will_break_with_the_next_release_is_a_warning(post: Post) -> None:
    code = "import warnings\nwarnings.warn('use g instead', DeprecationWarning)\n" + BELL
    said = await post("/validate", code=code)
    assert said["verdict"] == "valid"
    assert said["warnings"] == [
        {"reason": "Deprecated", "message": "use g instead", "line": 2, "traceback": None}
    ]


async def test_code_that_ends_its_process_has_no_circuit_to_run(post: Post) -> None:
    said = await post("/validate", code="import os\nos._exit(0)")
    assert (said["verdict"], said["errors"][0]["reason"]) == ("invalid", "UserCodeExited")


async def test_a_wide_circuit_needs_more_bytes_than_a_number_holds(post: Post) -> None:
    code = BELL.replace("(2)", "(100)").replace("qc.h(0)", "qc.t(0)")
    assert (await post("/validate", code=code))["memory_bytes"] == (1 << 62) - 1


async def test_time_is_estimated_only_where_it_was_measured(post: Post) -> None:
    wide = BELL.replace("(2)", "(24)").replace("qc.h(0)", "qc.t(0)")
    assert 0.4 < (await post("/validate", code=wide))["estimated_execution_time"] < 4
    repeated = wide + "qc.x(0)\nqc.measure_all()\n"
    assert (await post("/validate", code=repeated))["estimated_execution_time"] is None


LIMITS = {
    "wall time": ("import time\ntime.sleep(3600)", {"wall_seconds": 0.5}, "ValidationTimedOut"),
    "CPU time": ("while True: pass", {"cpu_seconds": 1}, "ValidationTimedOut"),
    "memory": ("x = bytearray(1 << 40)", {}, "ValidationOutOfMemory"),
    "memory in small pieces": (
        "x = [bytearray(1 << 20) for _ in range(1 << 20)]",
        {"memory_bytes": 128 << 20},
        "ValidationOutOfMemory",
    ),
    "output": ("while True: print('x' * 1000)", {"output_bytes": 10_000}, "ValidationOutputTooLarge"),
    "output of a long message": (
        "import os\nwhile True: os.write(3, b'\\xff' * 999)",
        {},
        "ValidationOutputTooLarge",
    ),
    "a crash": ("import os\nos.abort()", {}, "ValidationCrashed"),
}


@pytest.mark.parametrize("limit", LIMITS)
async def test_a_limit_is_not_a_verdict(post: Post, limit: str) -> None:
    code, limits, reason = LIMITS[limit]
    said = await post("/validate", code=code, limits=limits)
    assert (said["verdict"], said["valid"], said["errors"], said["reason"]) == ("unknown", False, [], reason)
    assert said["message"]


async def test_limits_are_lowered_and_never_raised(post: Post) -> None:
    said = await post("/validate", code="x = bytearray(3 << 30)", limits={"memory_bytes": 1 << 40})
    assert said["reason"] == "ValidationOutOfMemory"
    assert "1024 MiB" in said["message"]


HOSTILE = {
    "reads the service's environment": "open('/proc/1/environ').read()",
    "reads a file": "open('/etc/passwd').read()",
    "opens a socket": "import socket\nsocket.create_connection(('127.0.0.1', 80))",
    "starts a program": "import subprocess\nsubprocess.run(['true'])",
    "forks": "import os\nos.fork()",
    "writes a file": "open('/tmp/validation-was-here', 'w')",
    "signals its parent": "import os\nos.kill(os.getppid(), 9)",
}


@pytest.mark.parametrize("deed", HOSTILE)
async def test_hostile_code_fails_as_the_users_own_error(post: Post, deed: str) -> None:
    (error,) = (await post("/validate", code=HOSTILE[deed]))["errors"]
    assert error["reason"] == "UserCodeError"
    assert "PermissionError" in error["message"]
    assert "in a sandbox without a network or other programs" in error["message"]


SCRIPTS = {
    "the simulator": ("from qiskit_aer import AerSimulator", "leave out Aer, backends and run()"),
    "a download": (
        "import urllib.request\nurllib.request.urlopen('https://example.org')",
        "in a sandbox without a network",
    ),
    "a host by its name": (
        "import socket\nsocket.getaddrinfo('example.org', 443)",
        "in a sandbox without a network",
    ),
    "another package": ("import pennylane", "nothing can be installed"),
    "a drawing": (BELL + "qc.draw('mpl')", "nothing can be installed"),
}


@pytest.mark.parametrize("script", SCRIPTS)
async def test_what_works_on_the_command_line_alone_is_told_why_it_does_not_here(
    post: Post, script: str
) -> None:
    code, said = SCRIPTS[script]
    (error,) = (await post("/validate", code=code))["errors"]
    assert error["reason"] == "UserCodeError"
    assert said in error["message"]
    assert "pip install" not in f"{error['message']}{error['traceback']}"


FORGED = {
    "nested without end": "b'\\x82\\xa4type\\xa7refused\\xa1x' + b'\\x91' * 50_000",
    "a string that is not UTF-8": "b'\\x81\\xa6reason' + b'\\xa1\\xff'",
    "a depth that no status holds": "encode(dict(valid, depth=1 << 63))",
    "a negative width": "encode(dict(valid, qubits=-1))",
    "a gate's number": "encode(dict(valid, gate_types={'h': 1 << 63}))",
    "a reason that no condition holds": "encode(dict(unknown, reason='x' * 2000))",
    "no errors": "encode(dict(unknown, verdict='invalid'))",
    "a thousand warnings": "encode(dict(valid, warnings=[{'reason': 'x', 'message': 'x'}] * 1000))",
}


@pytest.mark.parametrize("forgery", FORGED)
async def test_a_forged_answer_is_no_more_than_an_exit(post: Post, forgery: str) -> None:
    code = f"""
import os
from msgspec.msgpack import encode
from sandbox.frames import MESSAGE, write_frame
valid = {{"verdict": "valid", "valid": True, "circuits": 1}}
unknown = {{"verdict": "unknown", "valid": False}}
write_frame(3, MESSAGE + {FORGED[forgery]})
os._exit(0)
"""
    said = await post("/validate", code=code)
    assert said["verdict"] == "invalid"
    assert [error["reason"] for error in said["errors"]] == ["UserCodeExited"]


SCRATCH = {
    "a file": "open('notes', 'w').write('x')",
    "a file by its whole path": "import os\nopen(os.path.join(os.getcwd(), 'notes'), 'w')",
    "a folder at home": "import os\nos.makedirs(os.path.expanduser('~/cache/deep'))",
    "a temporary file": "import tempfile\ntempfile.TemporaryFile()",
    "a list of files": "import os\nos.listdir('.')",
    "a file, and another complaint": (
        "try:\n    open('notes', 'w')\nexcept OSError:\n    raise ValueError('no notes')"
    ),
}


@pytest.mark.parametrize("use", SCRATCH)
async def test_code_that_uses_its_scratch_folder_gets_no_verdict(post: Post, use: str) -> None:
    said = await post("/validate", code=SCRATCH[use])
    assert (said["verdict"], said["errors"], said["reason"]) == ("unknown", [], "ValidationWithoutFolder")
    assert "scratch folder" in said["message"]
    assert "without a network" not in said["message"]


async def test_a_file_that_is_not_there_is_the_codes_own_error(post: Post) -> None:
    (error,) = (await post("/validate", code="open('data.csv')"))["errors"]
    assert (error["reason"], error["line"]) == ("UserCodeError", 1)


async def test_code_leaves_nothing_behind_for_the_next(post: Post) -> None:
    await post("/validate", code="import qiskit\nqiskit.QuantumCircuit.measure_all = None\n" + "x = 1")
    assert (await post("/validate", code=BELL))["verdict"] == "valid"


MALFORMED = {
    "nested without end": b'{"code": "x", "more": ' + b"[" * 100_000,
    "no JSON": b"qc = QuantumCircuit(2)",
    "a string that is not UTF-8": b'{"code": "\xff"}',
    "neither code nor source": b"{}",
    "both": b'{"code": "x", "source": "eA=="}',
    "an unknown format": b'{"code": "x", "format": "fortran"}',
    "a wrong type": b'{"code": 1}',
}


@pytest.mark.parametrize("body", MALFORMED)
async def test_a_malformed_request_is_told_what_is_wrong(http: aiohttp.ClientSession, body: str) -> None:
    async with http.post("/validate", data=MALFORMED[body]) as response:
        assert response.status == 400
        assert (await response.json())["error"]


async def test_a_request_beyond_the_size_limit_is_refused(http: aiohttp.ClientSession) -> None:
    async with http.post("/validate", data=io.BytesIO(bytes(5 << 20))) as response:
        assert response.status == 413


async def test_other_paths_and_methods_are_refused_in_json(http: aiohttp.ClientSession) -> None:
    async with http.get("/validate") as response:
        assert (response.status, response.headers["Allow"]) == (405, "POST")
        assert (await response.json())["error"]
    async with http.get("/nothing") as response:
        assert response.status == 404
