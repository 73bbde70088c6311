"""The downward API: what a pod may be told about itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any

from api.quantities import parse_quantity

Pod = Mapping[str, Any]
"""A pod as JSON has it."""

_KEYED = re.compile(r"metadata\.(labels|annotations)\['(.+)'\]")


class UnknownField(ValueError):
    """The reference names something that this node cannot tell."""


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What a pod may learn about its node: name, address, CPUs and memory in bytes."""

    name: str
    address: str
    cpus: int
    memory: int


def field(pod: Pod, node: NodeFacts, path: str) -> str:
    """The value of a `fieldRef`. Raises `UnknownField`."""
    metadata = pod["metadata"]
    if keyed := _KEYED.fullmatch(path):
        return str(metadata.get(keyed[1], {}).get(keyed[2], ""))
    match path:
        case "metadata.name" | "metadata.namespace" | "metadata.uid":
            return str(metadata[path.removeprefix("metadata.")])
        case "metadata.labels" | "metadata.annotations":
            entries = metadata.get(path.removeprefix("metadata."), {})
            return "\n".join(f'{key}="{_escaped(value)}"' for key, value in sorted(entries.items()))
        case "spec.nodeName":
            return node.name
        case "spec.serviceAccountName":
            return str(pod["spec"].get("serviceAccountName", "default"))
        case "status.podIP" | "status.podIPs" | "status.hostIP" | "status.hostIPs":
            return node.address
    raise UnknownField(f"unsupported fieldPath {path!r}")


def resource(container: Mapping[str, Any], node: NodeFacts, reference: Mapping[str, Any]) -> str:
    """The value of a `resourceFieldRef`: in units of the divisor, rounded up. Raises `UnknownField`.

    A limit that is not set is what the node has; a request that is not set is the limit, if there is one.
    """
    where, _, name = str(reference["resource"]).partition(".")
    resources = container.get("resources", {})
    whole_node = {"cpu": Decimal(node.cpus), "memory": Decimal(node.memory), "ephemeral-storage": Decimal(0)}
    if where not in ("limits", "requests") or name not in whole_node:
        raise UnknownField(f"unsupported resource {reference['resource']!r}")
    set_value = resources.get(where, {}).get(name, resources.get("limits", {}).get(name))
    if set_value is not None:
        value = parse_quantity(set_value)
    else:
        value = whole_node[name] if where == "limits" else Decimal(0)
    divisor = parse_quantity(reference.get("divisor") or "1")
    return str((value / (divisor or Decimal(1))).to_integral_value(ROUND_CEILING))


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
