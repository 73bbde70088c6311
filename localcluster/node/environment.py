"""A container's command and environment: references resolved, `$(VAR)` expanded, mounted paths rewritten.

A process of this machine has no `/work` of its own. So every value of `env` that begins with a mount path of
the container is made to begin with the folder that stands for it; command and arguments are not rewritten
but may use `$(VAR)`, which takes the rewritten value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from localcluster.node import downward
from localcluster.node.downward import NodeFacts, Pod
from localcluster.node.mounts import Mounts

_REFERENCE = re.compile(r"\$(?:\$|\(([A-Za-z_.-][A-Za-z0-9_.-]*)\))")


class ConfigurationError(ValueError):
    """The container refers to something that is not there; it waits as CreateContainerConfigError."""


@dataclass(frozen=True)
class Sources:
    """The ConfigMaps and Secrets that a pod refers to, by name; one that does not exist is missing here."""

    config_maps: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    secrets: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def references(container: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What has to be read before `environment` can be built: pairs of `configMap` or `secret` and a name."""
    for entry in container.get("envFrom", ()):
        for kind in ("configMap", "secret"):
            if reference := entry.get(f"{kind}Ref"):
                yield kind, reference["name"]
    for variable in container.get("env", ()):
        for kind in ("configMap", "secret"):
            if reference := variable.get("valueFrom", {}).get(f"{kind}KeyRef"):
                yield kind, reference["name"]


def environment(
    container: Mapping[str, Any], pod: Pod, node: NodeFacts, sources: Sources, mounts: Mounts
) -> dict[str, str]:
    """The variables that the pod's spec gives this container. Raises `ConfigurationError`."""
    values: dict[str, str] = {}
    for entry in container.get("envFrom", ()):
        for key, value in _all_of(entry, sources).items():
            values[f"{entry.get('prefix', '')}{key}"] = value
    for variable in container.get("env", ()):
        value_from = variable.get("valueFrom")
        if value_from is None:
            values[variable["name"]] = expand(variable.get("value", ""), values)
            continue
        found = _from(value_from, container, pod, node, sources)
        if found is not None:
            values[variable["name"]] = found
    return {name: mounts.rewrite(value) for name, value in values.items()}


def command(
    container: Mapping[str, Any], entry_point: Sequence[str], variables: Mapping[str, str]
) -> list[str]:
    """The argument vector: the container's `command` replaces the image's entry point, `args` follow."""
    own = [expand(part, variables) for part in container.get("command", ())]
    return [*(own or entry_point), *(expand(part, variables) for part in container.get("args", ()))]


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace `$(NAME)` where the name is known; `$$` stands for a single `$`."""

    def replacement(match: re.Match[str]) -> str:
        if match[1] is None:
            return "$"
        return variables.get(match[1], match[0])

    return _REFERENCE.sub(replacement, text)


def _all_of(entry: Mapping[str, Any], sources: Sources) -> Mapping[str, str]:
    for kind, objects in (("configMap", sources.config_maps), ("secret", sources.secrets)):
        if reference := entry.get(f"{kind}Ref"):
            content = objects.get(reference["name"])
            if content is None and not reference.get("optional"):
                raise ConfigurationError(f'{kind.lower()} "{reference["name"]}" not found')
            return content or {}
    return {}


def _from(
    value_from: Mapping[str, Any],
    container: Mapping[str, Any],
    pod: Pod,
    node: NodeFacts,
    sources: Sources,
) -> str | None:
    try:
        if reference := value_from.get("fieldRef"):
            return downward.field(pod, node, reference["fieldPath"])
        if reference := value_from.get("resourceFieldRef"):
            return downward.resource(_container(pod, reference, container), node, reference)
    except downward.UnknownField as error:
        raise ConfigurationError(str(error)) from error
    for kind, objects in (("configMap", sources.config_maps), ("secret", sources.secrets)):
        if reference := value_from.get(f"{kind}KeyRef"):
            found = objects.get(reference["name"], {}).get(reference["key"])
            if found is None and not reference.get("optional"):
                raise ConfigurationError(
                    f"couldn't find key {reference['key']} in {kind} {reference['name']}"
                )
            return found
    raise ConfigurationError(f"unsupported valueFrom: {', '.join(value_from)}")


def _container(pod: Pod, reference: Mapping[str, Any], default: Mapping[str, Any]) -> Mapping[str, Any]:
    name = reference.get("containerName")
    every = (*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"])
    return next((container for container in every if container["name"] == name), default)
