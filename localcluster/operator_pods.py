"""The operator's two pods on the local node: the controller with its gateway, and the validation service.

They run as on any cluster, under the same account and rights, but say in their environment which ports of
this machine they listen on. A port may be taken by somebody else in the moment before; then the pod is made
again with others. There is no Deployment to make a pod again that is deleted later; `keep_operator` does.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from kube import PODS, SECRETS, AlreadyExists, ApiError, Client, Conflict, NotFound
from localcluster.controlplane import ControlPlane, StartFailed
from localcluster.manifests import ACCOUNT, NAMESPACE
from localcluster.ports import LOOPBACK, free_port
from localcluster.progress import Report
from messages.version import VERSION

CONTROLLER = "qiskit-operator-controller"
VALIDATION = "qiskit-operator-validation"
_CREDENTIALS = "local-credentials"
_START_SECONDS = 120.0
_ATTEMPTS = 3
_POLL_SECONDS = 0.05
_WATCH_SECONDS = 540
_SECONDS_BETWEEN_TRIES = 1.0
_LINES_OF_A_LOG = 25


@dataclass(frozen=True, slots=True)
class OperatorPorts:
    """Where the operator listens on this machine."""

    gateway: int
    metrics: int
    validation: int

    @classmethod
    def choose(cls) -> OperatorPorts:
        """Ports that are free now."""
        return cls(free_port(), free_port(), free_port())

    @property
    def ready_urls(self) -> dict[str, str]:
        """What answers 200 once the pod of that name is ready."""
        return {
            CONTROLLER: f"http://{LOOPBACK}:{self.metrics}/readyz",
            VALIDATION: f"http://{LOOPBACK}:{self.validation}/ready",
        }


async def start_operator(client: Client, plane: ControlPlane) -> OperatorPorts:
    """Make both pods and wait until they are ready. Raises `StartFailed` with the end of a pod's log."""
    await client.create(SECRETS, _credentials(plane), NAMESPACE)
    for attempt in range(1, _ATTEMPTS + 1):
        ports = OperatorPorts.choose()
        for pod in (validation_pod(ports), controller_pod(ports)):
            await client.create(PODS, pod, NAMESPACE)
        try:
            await _until_ready(client, ports)
        except StartFailed:
            if attempt == _ATTEMPTS:
                raise
            for name in (CONTROLLER, VALIDATION):
                await _remove(client, name)
        else:
            return ports
    raise AssertionError("unreachable")


async def keep_operator(client: Client, ports: OperatorPorts, report: Report) -> None:
    """Make a pod again that was deleted or has ended, as its Deployment would. Runs until cancelled."""
    ours = f"app.kubernetes.io/name in ({CONTROLLER},{VALIDATION})"
    while True:
        try:
            async with client.watch(
                PODS,
                NAMESPACE,
                label_selector=ours,
                timeout_seconds=_WATCH_SECONDS,
                send_initial_events=True,
            ) as changes:
                # Whatever has changed, of both it is asked what they are like: the first of the events, which
                # comes even if there is no pod, shows what was missed between two watches.
                async for _ in changes:
                    for pod in (validation_pod(ports), controller_pod(ports)):
                        await _keep(client, pod, report)
        except ApiError:
            await asyncio.sleep(_SECONDS_BETWEEN_TRIES)


async def _keep(client: Client, pod: Mapping[str, Any], report: Report) -> None:
    name = pod["metadata"]["name"]
    try:
        found = await client.get(PODS, name, NAMESPACE)
    except NotFound:
        with contextlib.suppress(AlreadyExists):  # somebody else has made it
            await client.create(PODS, pod, NAMESPACE)
            report(f"{name} was gone; it is made again.")
        return
    metadata = found["metadata"]
    if found["status"].get("phase") in ("Succeeded", "Failed") and "deletionTimestamp" not in metadata:
        # Its deletion is the next change.
        with contextlib.suppress(NotFound, Conflict):
            await client.delete(PODS, name, NAMESPACE, uid=metadata["uid"])


def controller_pod(ports: OperatorPorts) -> dict[str, Any]:
    """The controller, with an administrator of nothing but what its ClusterRole says."""
    settings = {
        "KUBECONFIG": "/etc/qiskit-operator/kubeconfig",
        "OPERATOR_NAMESPACE": NAMESPACE,
        "GATEWAY_LISTEN_ADDRESS": LOOPBACK,
        "GATEWAY_LISTEN_PORT": str(ports.gateway),
        "METRICS_LISTEN_ADDRESS": LOOPBACK,
        "METRICS_LISTEN_PORT": str(ports.metrics),
        "VALIDATION_URL": f"http://{LOOPBACK}:{ports.validation}",
    }
    environment = {f"QISKIT_OPERATOR_{name}": value for name, value in settings.items()}
    credentials = {"name": "credentials", "secret": {"secretName": _CREDENTIALS}}
    mount = {"name": "credentials", "mountPath": "/etc/qiskit-operator"}
    return _pod(CONTROLLER, "controller", environment, [credentials], [mount])


def validation_pod(ports: OperatorPorts) -> dict[str, Any]:
    """The validation service."""
    environment = {
        "VALIDATION_LISTEN_HOST": LOOPBACK,
        "VALIDATION_LISTEN_PORT": str(ports.validation),
    }
    return _pod(VALIDATION, "validation", environment, [], [])


def _pod(
    name: str,
    image: str,
    environment: Mapping[str, str],
    volumes: list[dict[str, Any]],
    mounts: list[dict[str, Any]],
) -> dict[str, Any]:
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {
        "name": image,
        "image": f"qiskit-operator/{image}:{VERSION}",
        "env": [{"name": key, "value": value} for key, value in environment.items()],
        "volumeMounts": [*mounts, {"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 - a mount path
        "securityContext": security,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/name": name}},
        "spec": {
            "serviceAccountName": name,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "runAsGroup": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": [*volumes, {"name": "tmp", "emptyDir": {}}],
        },
    }


def _credentials(plane: ControlPlane) -> dict[str, Any]:
    """The controller's kubeconfig: a certificate that names its service account, with that one's rights."""
    kubeconfig = plane.kubeconfig_for(
        f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}",
        ["system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}"],
    )
    content = b64encode(kubeconfig.read_bytes()).decode()
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": _CREDENTIALS},
        "data": {"kubeconfig": content},
    }


async def _until_ready(client: Client, ports: OperatorPorts) -> None:
    waiting = dict(ports.ready_urls)
    try:
        async with asyncio.timeout(_START_SECONDS), aiohttp.ClientSession() as session:
            while waiting:
                for name, url in list(waiting.items()):
                    if await _answers(session, url):
                        del waiting[name]
                    else:
                        await _must_run(client, name)
                await asyncio.sleep(_POLL_SECONDS)
    except TimeoutError:
        logs = "\n".join([await _tail(client, name) for name in waiting])
        raise StartFailed(f"Not ready after {_START_SECONDS:.0f} s: {', '.join(waiting)}.\n{logs}") from None


async def _answers(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(url) as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


async def _must_run(client: Client, name: str) -> None:
    pod = await client.get(PODS, name, NAMESPACE)
    for status in pod["status"].get("containerStatuses", ()):
        waiting = status["state"].get("waiting", {}).get("reason")
        if status.get("lastState") or waiting not in (None, "ContainerCreating"):
            why = json.dumps(status.get("lastState") or status["state"])
            raise StartFailed(f"{name} does not start: {why}\n{await _tail(client, name)}")


async def _tail(client: Client, name: str) -> str:
    try:
        log = await client.pod_logs(name, NAMESPACE, tail_lines=_LINES_OF_A_LOG)
    except ApiError as error:
        log = f"(no log: {error})"
    return f"--- the end of the log of {name}\n{log.rstrip()}"


async def _remove(client: Client, name: str) -> None:
    await client.delete(PODS, name, NAMESPACE, grace_period_seconds=0)
    while True:
        try:
            await client.get(PODS, name, NAMESPACE)
        except NotFound:
            return
        await asyncio.sleep(_POLL_SECONDS)
