"""Installing and removing the operator as its documentation says."""

from __future__ import annotations

from pathlib import Path

from e2e.suite.kubectl import Kubectl

ROOT = Path(__file__).parent.parent.parent
OPERATOR = "qiskit-operator"
"""The operator's own namespace."""

CONTROLLER = "qiskit-operator-controller"
"""Deployment, and value of its pods' label app.kubernetes.io/name."""


def install(cluster: Kubectl, overlay: str) -> None:
    """Apply an overlay and wait until everything in it is up."""
    cluster("apply", "--server-side", "--force-conflicts", "-k", str(ROOT / "deploy/overlays" / overlay))
    until_up(cluster)


def until_up(cluster: Kubectl) -> None:
    """Wait until the operator's deployments have rolled out."""
    own = cluster.within(OPERATOR)
    for deployment in (CONTROLLER, "qiskit-operator-validation"):
        own("rollout", "status", f"deployment/{deployment}", "--timeout=180s", timeout=200)
