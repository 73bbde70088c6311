"""The controller's rights, held against the API server's own log of one life in which everything happens.

No call of the controller is refused, and no right that the manifests grant goes unused.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from kube import Client, load_configuration
from localcluster.controlplane import ControlPlane
from localcluster.kubectl import Kubectl
from localcluster.manifests import ACCOUNT, NAMESPACE, OVERLAY, install
from localcluster.node.start import LocalNode
from localcluster.operator_pods import start_operator

pytestmark = [pytest.mark.cluster, pytest.mark.node]

USER = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"


class Right(NamedTuple):
    """One verb on one resource, with its subresource after a slash."""

    group: str
    resource: str
    verb: str


RARE = {
    Right("", "secrets", "patch"): "renewing the authority, after four fifths of its ten years",
    Right("events.k8s.io", "events", "patch"): "the same event again, in the window of a series",
    Right("", "pods", "get"): "looking for the pod of an attempt whose creation was cut off",
    Right(
        "networking.k8s.io", "networkpolicies", "create"
    ): "asked for within an apply, which is logged as a patch",
}
"""Rights that the log of one short life does not show; other tests exercise what they are for."""

BELL = """
from qiskit import QuantumCircuit
qc = QuantumCircuit(2)
qc.h(0)
qc.cx(0, 1)
qc.measure_all()
"""


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[ControlPlane]:
    """A control plane with an audit log, a node, and the operator with its own rights and no others."""
    async with ControlPlane.start(tmp_path, audit_log=True) as running:
        kubectl = Kubectl(running.binaries["kubectl"], running.kubeconfig)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(install(kubectl))
            node = LocalNode.start(running)
            await node.__aenter__()
        try:
            configuration = await load_configuration(str(running.kubeconfig))
            async with Client(configuration, user_agent="tests") as client:
                await start_operator(client, running)
            yield running
        finally:
            await node.__aexit__(None, None, None)


@pytest.mark.timeout(300)
async def test_no_call_is_refused_and_no_right_is_unused(plane: ControlPlane) -> None:
    kubectl = Kubectl(plane.binaries["kubectl"], plane.kubeconfig)
    await _live_through_everything(kubectl)
    assert plane.audit_log is not None
    log = await asyncio.to_thread(plane.audit_log.read_text)
    calls = [call for line in log.splitlines() if (call := json.loads(line))["user"]["username"] == USER]
    assert calls, "the controller acts under its own account"

    refused = {
        f"{c['verb']} {c['requestURI']}" for c in calls if c.get("responseStatus", {}).get("code") == 403
    }
    assert refused == set()

    used = {_right(call["objectRef"], call["verb"]) for call in calls if "objectRef" in call}
    # A server that streams lists into watches is asked for none; others, and this one at its start, are.
    used |= {right._replace(verb="list") for right in used if right.verb == "watch"}
    granted = await _granted(kubectl)
    assert granted - used - RARE.keys() == set(), "granted and never used"


async def _live_through_everything(kubectl: Kubectl) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "results"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
    }
    source = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "bell"},
        "data": {"code": BELL},
    }
    pool = {
        "apiVersion": "quantum.io/v1",
        "kind": "QiskitBackend",
        "metadata": {"name": "pool"},
        "spec": {"type": "local_simulator", "warmPool": {"size": 1}},
    }
    referring = {"source": "configmap", "configMapRef": {"name": "bell", "key": "code"}}
    forever = {"source": "inline", "code": "while True: pass"}
    on_pool = {"type": "local_simulator", "name": "pool"}
    await _apply(kubectl, claim, source, pool)
    await kubectl("wait", "qbackend/pool", "--for=jsonpath={.status.warm}=1", "--timeout=60s")
    await _apply(
        kubectl,
        _job("inline"),
        _job("brief", ttlSecondsAfterFinished=1),
        _job("referring", circuit=referring),
        _job("warm", backend=on_pool),
        _job("misnamed", backend={"type": "local_simulator", "name": "none"}, timeouts={"pending": "1s"}),
        _job("stored", output={"type": "pvc", "location": "results"}, timeouts={"pending": "1s"}),
        _job("endless", circuit=forever),
    )
    for job in ("inline", "referring", "warm"):
        await kubectl("wait", f"qjob/{job}", "--for=condition=Complete", "--timeout=120s")
    await kubectl("wait", "qjob/brief", "--for=delete", "--timeout=120s")
    await kubectl("wait", "qjob/endless", "--for=jsonpath={.status.phase}=Running", "--timeout=60s")
    await kubectl("patch", "qjob", "endless", "--type=merge", "-p", '{"spec":{"cancel":true}}')
    await kubectl("wait", "pod", "-l", "quantum.io/job-name=endless", "--for=delete", "--timeout=60s")
    await kubectl("delete", "qbackend", "pool")


def _job(name: str, **spec: Any) -> dict[str, Any]:
    inline = {"backend": {"type": "local_simulator"}, "circuit": {"source": "inline", "code": BELL}}
    return {
        "apiVersion": "quantum.io/v1",
        "kind": "QiskitJob",
        "metadata": {"name": name},
        "spec": inline | spec,
    }


async def _apply(kubectl: Kubectl, *objects: dict[str, Any]) -> None:
    await kubectl("apply", "--filename=-", stdin=yaml.safe_dump_all(objects))


def _right(about: dict[str, str], verb: str) -> Right:
    subresource = f"/{about['subresource']}" if "subresource" in about else ""
    return Right(about.get("apiGroup", ""), about["resource"] + subresource, verb)


async def _granted(kubectl: Kubectl) -> set[Right]:
    """Every right in the roles that the default overlay binds to the controller."""
    objects = list(yaml.safe_load_all(await kubectl("kustomize", OVERLAY)))
    bound = {
        each["roleRef"]["name"]
        for each in objects
        if each["kind"] in ("RoleBinding", "ClusterRoleBinding")
        and any(subject["name"] == ACCOUNT for subject in each["subjects"])
    }
    return {
        Right(group, resource, verb)
        for each in objects
        if each["kind"] in ("Role", "ClusterRole") and each["metadata"]["name"] in bound
        for rule in each["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
