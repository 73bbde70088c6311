"""Hostile code in real pods. Its circuit turns a qubit for each thing it managed to do, so that what the
executor itself lets happen is read from measured counts; the last qubit proves that the reading works."""

from __future__ import annotations

import pytest

from e2e.suite.jobs import a_job, pods_of, result_of, until_phase
from e2e.suite.kubectl import Kubectl

ATTEMPTS = {
    "read the executor's token": """
        open("/var/run/secrets/quantum.io/token").read()""",
    "read a Kubernetes token": """
        open("/var/run/secrets/kubernetes.io/serviceaccount/token").read()""",
    "find the gateway in its environment": """
        assert any("GATEWAY" in name or "TOKEN" in name for name in os.environ)""",
    "read the supervisor's environment": """
        assert open("/proc/1/environ", "rb").read()""",
    "open the supervisor's memory": """
        open("/proc/1/mem", "rb").close()""",
    "open a network connection": """
        socket.create_connection((os.environ.get("KUBERNETES_SERVICE_HOST", "10.96.0.1"), 443), 5)""",
    "make a socket at all": """
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM)""",
    "fork": """
        pid = os.fork()
        if pid == 0:
            os._exit(0)""",
    "start a program": """
        subprocess.run(["/bin/true"], check=True)""",
    "signal the supervisor": """
        os.kill(1, 0)""",
    "write beside the program": """
        open("/opt/app/planted.py", "w").close()""",
    "write to the termination message": """
        open("/dev/termination-log", "w").write("{}")""",
    "write to the output folder": """
        os.makedirs("/output/x")""",
    "gain rights": """
        os.setuid(0)""",
    "start two thousand threads": """
        for _ in range(2000):
            threading.Thread(target=time.sleep, args=(3,), daemon=True).start()""",
}

PRELUDE = """\
import os, socket, subprocess, threading, time
from qiskit import QuantumCircuit

done = []
"""

ATTEMPT = """\
try:{code}
except BaseException:
    done.append(False)
else:
    done.append(True)
"""

ENDING = """\
qc = QuantumCircuit(len(done) + 1)
for number, succeeded in enumerate(done):
    if succeeded:
        qc.x(number)
qc.x(len(done))
qc.measure_all()
"""


def test_hostile_code_achieves_nothing(kubectl: Kubectl) -> None:
    attempts = "".join(
        ATTEMPT.format(code=code.replace("\n        ", "\n    ")) for code in ATTEMPTS.values()
    )
    kubectl.apply(a_job("hostile", PRELUDE + attempts + ENDING))
    until_phase(kubectl, "hostile", "Completed")
    (outcome,) = result_of(kubectl, "hostile")["results"]["counts"]
    assert outcome[0] == "1", "the proof that a turned qubit is seen"
    achieved = [what for what, bit in zip(ATTEMPTS, reversed(outcome), strict=False) if bit == "1"]
    assert achieved == []


def test_code_that_eats_memory_is_ended_alone(kubectl: Kubectl) -> None:
    eats = (
        "from qiskit import QuantumCircuit\nhoard = []\nwhile True:\n    hoard.append(bytearray(1 << 24))\n"
    )
    kubectl.apply(a_job("greedy", eats), a_job("modest"))
    assert until_phase(kubectl, "greedy", "Failed")["reason"] == "OutOfMemory"
    until_phase(kubectl, "modest", "Completed")


def test_code_that_never_ends_is_ended(kubectl: Kubectl) -> None:
    kubectl.apply(a_job("endless", "while True:\n    pass\n", execution={"maxExecutionTime": "5s"}))
    assert until_phase(kubectl, "endless", "Failed")["reason"] == "ExecutionTimeout"


@pytest.mark.parametrize("level", ["restricted"])
def test_executors_pass_the_strictest_pod_security_standard(kubectl: Kubectl, level: str) -> None:
    kubectl("label", "namespace", str(kubectl.namespace), f"pod-security.kubernetes.io/enforce={level}")
    kubectl.apply(a_job("bell"))
    until_phase(kubectl, "bell", "Completed")
    (pod,) = pods_of(kubectl, "bell")
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert pod["spec"]["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True


def test_the_operators_own_namespace_is_restricted_too(installed: Kubectl, cluster: Kubectl) -> None:
    labels = cluster.json("get", "namespace", str(installed.namespace))["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"
    refused = installed.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "root"},
            "spec": {"containers": [{"name": "root", "image": "pause"}]},
        }
    )
    assert "violates PodSecurity" in refused.stderr
