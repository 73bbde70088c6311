"""Installs what the operator finds on any cluster, from the project's own manifests: kinds, accounts, rights.

What runs as Deployments there is left out: on a node of local processes Services have no addresses, so the
two pods are made by `localcluster.operator_pods`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from localcluster.crds import install_crds
from localcluster.kubectl import Kubectl

OVERLAY = Path(__file__).parent.parent / "deploy" / "overlays" / "default"
NAMESPACE = "qiskit-operator"
ACCOUNT = "qiskit-operator-controller"

_KINDS = frozenset(
    {
        "Namespace",
        "ServiceAccount",
        "Role",
        "RoleBinding",
        "ClusterRole",
        "ClusterRoleBinding",
        "PriorityClass",
    }
)


async def install(kubectl: Kubectl) -> None:
    """Apply them and wait until the kinds are served."""
    rendered = await kubectl("kustomize", OVERLAY)
    objects: list[dict[str, Any]] = [each for each in yaml.load_all(rendered, _LOADER) if each]
    wanted = [each for each in objects if each["kind"] in _KINDS]
    # An object of a namespace can only be made once that is there.
    wanted.sort(key=lambda each: each["kind"] != "Namespace")
    await kubectl("apply", "--server-side", "--filename=-", stdin=yaml.dump_all(wanted, Dumper=_DUMPER))
    await install_crds(kubectl)


_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
