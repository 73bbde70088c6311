"""Pods of the suite's own, of the executor's image: it holds a Python, and every node has it."""

from __future__ import annotations

import secrets
from textwrap import dedent
from typing import Any

from e2e.suite.kubectl import Kubectl
from messages.version import VERSION

IMAGE = f"qiskit-operator/executor:{VERSION}"


def a_claim(name: str, size: str = "16Mi") -> dict[str, Any]:
    """A claim of the cluster's default storage class."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}},
    }


def a_pod(
    name: str,
    code: str,
    *,
    claim: str | None = None,
    labels: dict[str, str] | None = None,
    **spec: Any,
) -> dict[str, Any]:
    """A pod that runs Python code once; `spec` has further fields of the pod's spec."""
    mounts = [{"name": "claim", "mountPath": "/claim"}] if claim else []
    volumes = [{"name": "claim", "persistentVolumeClaim": {"claimName": claim}}] if claim else []
    container = {
        "name": "probe",
        "image": IMAGE,
        "command": ["python", "-c", dedent(code)],
        "volumeMounts": mounts,
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels or {}},
        "spec": {
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container],
            "volumes": volumes,
            **spec,
        },
    }


def run_python(
    kubectl: Kubectl, code: str, *, claim: str | None = None, labels: dict[str, str] | None = None
) -> str:
    """Run code in a pod of its own and return what it printed."""
    name = f"probe-{secrets.token_hex(3)}"
    kubectl.apply(a_pod(name, code, claim=claim, labels=labels))
    kubectl("wait", f"pod/{name}", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=60s")
    return kubectl("logs", name)


def run_on_node(cluster: Kubectl, node: str, code: str) -> str:
    """Run code as the node's root, among the node's own processes, and return what it printed."""
    name, system = start_on_node(cluster, node, code)
    try:
        system("wait", f"pod/{name}", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=90s")
        return system("logs", name)
    finally:
        system("delete", "pod", name, "--now")


def start_on_node(cluster: Kubectl, node: str, code: str) -> tuple[str, Kubectl]:
    """Start such a pod; its name, and kubectl for its namespace."""
    name = f"node-probe-{secrets.token_hex(3)}"
    everywhere = [{"operator": "Exists"}]
    pod = a_pod(name, code, nodeName=node, hostPID=True, hostNetwork=True, tolerations=everywhere)
    pod["spec"]["securityContext"] = {}
    pod["spec"]["containers"][0]["securityContext"] = {"privileged": True, "runAsUser": 0}
    system = cluster.within("kube-system")
    system.apply(pod)
    return name, system


def killing(*words: str, pod: str = "") -> str:
    """Code that sends SIGKILL to the node's processes whose command line holds these words in a row.

    With `pod`, only to those in that pod.
    """
    return f"""
import os, pathlib, signal
for folder in pathlib.Path("/proc").glob("[0-9]*"):
    try:
        line = (folder / "cmdline").read_bytes()
        hostname = (folder / "root/etc/hostname").read_text().strip()
    except OSError:
        continue
    if int(folder.name) != os.getpid() and {_joined(words)!r} in line and {pod!r} in ("", hostname):
        os.kill(int(folder.name), signal.SIGKILL)
        print("killed", folder.name)
"""


def _joined(words: tuple[str, ...]) -> bytes:
    """Words as /proc shows a command line: each ends with a zero byte."""
    return b"".join(word.encode() + b"\0" for word in words)
