"""How single settings are written: durations, lists, mappings, names of Kubernetes objects."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import NoDecode

from api.durations import parse_duration

_HOST = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?(\.[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?)*\.?")
_DNS_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_DNS_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")


def _seconds(value: Any) -> Any:
    """A duration with a unit, or a bare number of seconds."""
    if isinstance(value, str) and not re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
        return parse_duration(value)
    return value


def _words(value: Any) -> Any:
    """A list as written in a flag: commas, or the flag several times."""
    parts = [value] if isinstance(value, str) else value
    if not isinstance(parts, (list, tuple)) or not all(isinstance(part, str) for part in parts):
        return value
    words = (word.strip() for part in parts for word in part.split(","))
    return tuple(dict.fromkeys(word for word in words if word))


def _mapping(value: Any) -> Any:
    """A mapping as written in a flag: name=value, with commas or the flag several times."""
    if isinstance(value, dict):
        return value
    pairs = [word.partition("=") for word in _words(value)]
    for name, equals, _ in pairs:
        if not equals:
            raise ValueError(f"{name!r} is no name=value; write for example low=batch,high=interactive")
    return {name.strip(): text.strip() for name, _, text in pairs}


def _dns_label(value: str) -> str:
    if not _DNS_LABEL.fullmatch(value):
        raise ValueError(
            f"{value!r} is not the name of a namespace; use lower-case letters, digits and '-', at most 63"
        )
    return value


def _dns_subdomain(value: str) -> str:
    if len(value) > 253 or not _DNS_SUBDOMAIN.fullmatch(value):
        raise ValueError(
            f"{value!r} is not the name of an object; use lower-case letters, digits, '-' and '.'"
        )
    return value


def _host(value: str) -> str:
    if _HOST.fullmatch(value) and len(value) <= 253:
        return value
    try:
        ipaddress.ip_address(value)
    except ValueError:
        hint = ""
        if value.startswith("$("):
            hint = (
                ": the gateway's Service was not there when this container started. It is once this "
                "container is started again"
            )
        raise ValueError(f"{value!r} is neither an IP address nor a host name{hint}") from None
    return value


Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0)]
Host = Annotated[str, AfterValidator(_host)]
Port = Annotated[int, Field(ge=0, le=65535)]
Namespace = Annotated[str, AfterValidator(_dns_label)]
Namespaces = Annotated[tuple[Namespace, ...], NoDecode, BeforeValidator(_words)]
SandboxLayer = Literal["no_new_privs", "seccomp", "landlock", "rlimits"]
SandboxLayers = Annotated[tuple[SandboxLayer, ...], NoDecode, BeforeValidator(_words)]
Priority = Literal["low", "normal", "high", "urgent"]
PriorityClass = Annotated[str, AfterValidator(_dns_subdomain)]
PriorityClasses = Annotated[dict[Priority, PriorityClass], NoDecode, BeforeValidator(_mapping)]
