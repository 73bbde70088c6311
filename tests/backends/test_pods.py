"""The manifest of an executor's pod, and what a real API server says to it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from api.names import LABEL_ATTEMPT, LABEL_BACKEND, LABEL_JOB_NAME, LABEL_JOB_UID, LABEL_ROLE
from backends import Attempt, Owner, Resources, Submission, Volume
from backends.aer import AerSettings, GatewayAccess
from backends.aer.names import pod_name, warm_pod_name
from backends.aer.pods import executor_pod
from backends.aer.warm import template_digest, warm_pod
from kube import NAMESPACES, PODS, Client
from messages.work import TOKEN_AUDIENCE

GATEWAY = GatewayAccess(url="https://10.96.0.7:8443", authority_pem="-----BEGIN CERTIFICATE-----\n…\n")
SETTINGS = AerSettings(gateway=lambda: GATEWAY)
SMALL = Resources(requests={"cpu": "250m", "memory": "256Mi"}, limits={"cpu": "2500m", "memory": "512Mi"})
UID = "0b4c6a1e-1111-4111-8111-111111111111"


def a_submission(name: str = "bell", **changes: Any) -> Submission:
    owner = Owner(namespace="quantum", name=name, uid=UID)
    fields: dict[str, Any] = {"image": "executor:1", "resources": SMALL, **changes}
    return Submission(attempt=Attempt(owner=owner, number=2), backend="local_simulator", **fields)


def container_of(pod: dict[str, Any]) -> dict[str, Any]:
    [container] = pod["spec"]["containers"]
    found: dict[str, Any] = container
    return found


def environment_of(pod: dict[str, Any]) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in container_of(pod)["env"] if "value" in entry}


def test_the_pod_says_whose_it_is() -> None:
    metadata = executor_pod(SETTINGS, a_submission())["metadata"]
    [owner] = metadata["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"], owner["controller"]) == (
        "QiskitJob",
        "bell",
        UID,
        True,
    )
    assert owner["blockOwnerDeletion"] is False, "that would take a right on finalizers"
    labels = metadata["labels"]
    assert (labels[LABEL_JOB_UID], labels[LABEL_ATTEMPT], labels[LABEL_ROLE]) == (UID, "2", "executor")
    assert labels[LABEL_BACKEND] == "local_simulator"


def test_the_pod_has_no_rights_and_may_do_nothing_on_its_node() -> None:
    pod = executor_pod(SETTINGS, a_submission())
    spec, container = pod["spec"], container_of(pod)
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert spec["restartPolicy"] == "Never"
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 65532
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "readOnlyRootFilesystem": True,
    }


def test_the_executor_is_told_everything_by_its_environment() -> None:
    pod = executor_pod(SETTINGS, a_submission())
    environment = environment_of(pod)
    assert environment["EXECUTOR_GATEWAY_URL"] == GATEWAY.url
    assert environment["EXECUTOR_GATEWAY_CA"] == GATEWAY.authority_pem
    assert environment["EXECUTOR_GATEWAY_SERVER_NAME"] == "qiskit-operator-gateway"
    assert environment["EXECUTOR_SANDBOX"] == "required"
    assert environment["OMP_NUM_THREADS"] == "2"
    assert "EXECUTOR_OUTPUT_DIR" not in environment
    mounts = {mount["mountPath"] for mount in container_of(pod)["volumeMounts"]}
    for name in ("EXECUTOR_WORK_DIR", "EXECUTOR_TOKEN_FILE"):
        assert any(environment[name].startswith(mount) for mount in mounts), name
    assert environment["EXECUTOR_TERMINATION_LOG"] == container_of(pod)["terminationMessagePath"]
    downward = {entry["name"] for entry in container_of(pod)["env"] if "valueFrom" in entry}
    assert downward == {"EXECUTOR_POD_NAME", "EXECUTOR_POD_UID", "EXECUTOR_NODE"}


def test_the_token_is_for_the_gateway_alone() -> None:
    [token] = [v for v in executor_pod(SETTINGS, a_submission())["spec"]["volumes"] if v["name"] == "token"]
    [source] = token["projected"]["sources"]
    assert source["serviceAccountToken"]["audience"] == TOKEN_AUDIENCE


def test_a_volume_is_mounted_at_the_jobs_own_folder() -> None:
    volume = Volume(claim="results", folder=f"2027/bell-{UID}")
    pod = executor_pod(SETTINGS, a_submission(volume=volume))
    [mount] = [m for m in container_of(pod)["volumeMounts"] if m["name"] == "output"]
    assert mount["subPath"] == f"2027/bell-{UID}"
    assert environment_of(pod)["EXECUTOR_OUTPUT_DIR"] == mount["mountPath"]
    assert pod["spec"]["securityContext"]["fsGroup"] == 65532
    assert "fsGroup" not in executor_pod(SETTINGS, a_submission())["spec"]["securityContext"]


def test_priority_and_relaxed_layers_come_from_the_administrator() -> None:
    settings = AerSettings(
        gateway=lambda: GATEWAY, priority_classes={"high": "fast"}, sandbox_relax=("landlock", "seccomp")
    )
    pod = executor_pod(settings, a_submission(priority="high"))
    assert pod["spec"]["priorityClassName"] == "fast"
    assert environment_of(pod)["EXECUTOR_SANDBOX"] == "landlock,seccomp"
    assert "priorityClassName" not in executor_pod(settings, a_submission(priority="low"))["spec"]


@pytest.mark.parametrize("name", ["bell", "a.b.c", "x" * 253, "a." * 100 + "b"])
def test_names_fit_and_are_the_attempts_own(name: str) -> None:
    owner = Owner(namespace="quantum", name=name, uid=UID)
    names = {pod_name(Attempt(owner=owner, number=number)) for number in range(1, 200)}
    assert len(names) == 199
    assert all(len(one) <= 63 and "." not in one for one in names)
    other = msgspec.structs.replace(owner, uid=UID.replace("1", "2"))
    assert pod_name(Attempt(owner=other, number=1)) not in names
    assert len(warm_pod_name(name, UID, "abc123")) <= 63


def test_a_warm_pod_is_what_an_attempts_pod_would_be() -> None:
    warm = warm_pod(SETTINGS, Owner(namespace="quantum", name="pool", uid=UID), "executor:1", SMALL, "abc")
    assert warm["spec"] == executor_pod(SETTINGS, a_submission())["spec"]
    assert LABEL_JOB_UID not in warm["metadata"]["labels"]
    assert LABEL_JOB_NAME not in warm["metadata"]["labels"]
    assert warm["metadata"]["ownerReferences"][0]["kind"] == "QiskitBackend"


def test_the_template_tells_every_change_of_the_spec() -> None:
    one = template_digest(SETTINGS, "executor:1", SMALL)
    assert one == template_digest(SETTINGS, "executor:1", SMALL)
    assert one != template_digest(SETTINGS, "executor:2", SMALL)
    assert one != template_digest(SETTINGS, "executor:1", Resources())
    renewed = GatewayAccess(url=GATEWAY.url, authority_pem="another")
    assert one != template_digest(AerSettings(gateway=lambda: renewed), "executor:1", SMALL)


@pytest.mark.cluster
@pytest.mark.parametrize("volume", [None, Volume(claim="results", folder=f"bell-{UID}")])
async def test_a_namespace_of_the_strictest_pod_security_takes_the_pod(
    client: Client, namespace: str, volume: Volume | None
) -> None:
    strict = {"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    await client.merge_patch(NAMESPACES, namespace, strict)
    pod = executor_pod(SETTINGS, a_submission(volume=volume))
    pod["metadata"]["namespace"] = namespace
    made = await client.create(PODS, pod, namespace, dry_run=True)
    assert made["spec"]["containers"][0]["resources"]["limits"]["memory"] == "512Mi"
