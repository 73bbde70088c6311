"""What the overlays render to: images, security, labels, and the same rights in both modes."""

from __future__ import annotations

import subprocess
from functools import cache
from typing import Any

import pytest
import yaml

from deploy.images import ROOT, image_tag
from localcluster.binaries import ensure_binaries
from localcluster.progress import silent
from localcluster.versions import CONTROL_PLANE

OVERLAYS = ("default", "dev", "ha", "namespaced")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@cache
def rendered(folder: str) -> tuple[dict[str, Any], ...]:
    """The objects of a folder of deploy/."""
    kubectl = ensure_binaries(CONTROL_PLANE, silent)["kubectl"]
    said = subprocess.run(
        [kubectl, "kustomize", ROOT / "deploy" / folder], capture_output=True, text=True, check=True
    )
    return tuple(each for each in yaml.load_all(said.stdout, _LOADER) if each)


def of_kind(folder: str, kind: str) -> list[dict[str, Any]]:
    """The objects of one kind."""
    return [each for each in rendered(folder) if each["kind"] == kind]


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_deployments_name_the_images_that_are_built(overlay: str) -> None:
    images = {
        container["image"]
        for deployment in of_kind(f"overlays/{overlay}", "Deployment")
        for container in deployment["spec"]["template"]["spec"]["containers"]
    }
    assert {f"docker.io/{image}" for image in images} == {image_tag("controller"), image_tag("validation")}


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_pods_can_change_nothing_and_gain_nothing(overlay: str) -> None:
    for deployment in of_kind(f"overlays/{overlay}", "Deployment"):
        pod = deployment["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        for container in pod["containers"]:
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}
            assert {"startupProbe", "livenessProbe", "readinessProbe"} <= container.keys()


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_everything_of_the_operator_says_whose_part_it_is(overlay: str) -> None:
    for each in rendered(f"overlays/{overlay}"):
        if each["kind"] != "CustomResourceDefinition":
            assert each["metadata"]["labels"]["app.kubernetes.io/part-of"] == "qiskit-operator"


def test_removing_the_operator_removes_no_kind_and_nobodys_access() -> None:
    for operator in ("default", "dev", "ha", "namespaced"):
        assert of_kind(f"operator/{operator}", "CustomResourceDefinition") == []
        names = {each["metadata"]["name"] for each in of_kind(f"operator/{operator}", "ClusterRole")}
        assert not names & {"qiskit-operator-admin", "qiskit-operator-editor", "qiskit-operator-viewer"}


def test_the_namespaced_mode_has_the_same_rights_in_its_namespaces_and_one_beyond() -> None:
    (everywhere,) = [
        role
        for role in of_kind("operator/default", "ClusterRole")
        if role["metadata"]["name"].endswith("-jobs")
    ]
    (here,) = [
        role for role in of_kind("overlays/namespaced", "Role") if role["metadata"]["name"].endswith("-jobs")
    ]
    assert here["rules"] == everywhere["rules"]
    assert here["metadata"]["namespace"] == "quantum-example"
    bindings = of_kind("overlays/namespaced", "ClusterRoleBinding")
    assert [binding["metadata"]["name"] for binding in bindings] == ["qiskit-operator-tokenreviews"]


def test_no_role_says_everything() -> None:
    for kind in ("Role", "ClusterRole"):
        for role in of_kind("overlays/default", kind):
            for rule in role["rules"]:
                assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"]
