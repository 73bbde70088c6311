"""Rights as the API server sees them: what the operator may do, what it may not, and what people may do."""

from __future__ import annotations

import pytest

from e2e.suite.installing import CONTROLLER, OPERATOR
from e2e.suite.kubectl import Kubectl

AS_CONTROLLER = f"--as=system:serviceaccount:{OPERATOR}:{CONTROLLER}"
AS_VALIDATION = f"--as=system:serviceaccount:{OPERATOR}:qiskit-operator-validation"


def may(kubectl: Kubectl, *question: str) -> bool:
    """What `kubectl auth can-i` answers."""
    return kubectl.run("auth", "can-i", *question).stdout.strip() == "yes"


@pytest.mark.parametrize(
    "question",
    [
        ("watch", "qiskitjobs.quantum.io", "-A"),
        ("patch", "qiskitjobs.quantum.io", "--subresource=status", "-A"),
        ("create", "pods", "-A"),
        ("create", "configmaps", "-A"),
        ("create", "tokenreviews.authentication.k8s.io"),
        ("get", "secret/qiskit-operator-gateway-ca", "-n", OPERATOR),
        ("patch", "lease/qiskit-operator", "-n", OPERATOR),
    ],
    ids=" ".join,
)
def test_the_controller_may(cluster: Kubectl, installed: Kubectl, question: tuple[str, ...]) -> None:
    assert may(cluster, *question, AS_CONTROLLER)


@pytest.mark.parametrize(
    "question",
    [
        ("get", "secrets", "-A"),
        ("list", "secrets", "-n", OPERATOR),
        ("get", "secret/other", "-n", OPERATOR),
        ("delete", "configmaps", "-A"),
        ("update", "configmaps", "-A"),
        ("update", "qiskitjobs.quantum.io", "-A"),
        ("create", "pods", "--subresource=exec", "-A"),
        ("get", "nodes"),
        ("get", "serviceaccounts", "-A"),
        ("create", "serviceaccounts", "--subresource=token", "-A"),
        ("create", "clusterrolebindings.rbac.authorization.k8s.io"),
        ("*", "*", "-A"),
    ],
    ids=" ".join,
)
def test_the_controller_may_not(cluster: Kubectl, installed: Kubectl, question: tuple[str, ...]) -> None:
    assert not may(cluster, *question, AS_CONTROLLER)


def test_validation_may_do_nothing(cluster: Kubectl, installed: Kubectl) -> None:
    for verb in ("get", "list", "create", "delete"):
        for kind in ("pods", "secrets", "configmaps", "qiskitjobs.quantum.io"):
            assert not may(cluster, verb, kind, "-A", AS_VALIDATION)


@pytest.mark.parametrize(
    ("role", "verb", "kind", "allowed"),
    [
        ("view", "get", "qiskitjobs", True),
        ("view", "create", "qiskitjobs", False),
        ("edit", "create", "qiskitjobs", True),
        ("edit", "create", "qiskitbackends", False),
        ("admin", "create", "qiskitbackends", True),
        ("edit", "patch", "qiskitjobs/status", False),
    ],
)
def test_people_get_their_rights_from_the_standard_roles(
    kubectl: Kubectl, role: str, verb: str, kind: str, allowed: bool
) -> None:
    kubectl("create", "rolebinding", "her", f"--clusterrole={role}", "--user=her")
    plural, _, subresource = kind.partition("/")
    extra = [f"--subresource={subresource}"] if subresource else []
    assert may(kubectl, verb, f"{plural}.quantum.io", *extra, "--as=her") is allowed
