"""Settings of the operator's process: flags first, then environment variables, then defaults.

Every setting is a flag (`--gateway-listen-port`) and a variable (`QISKIT_OPERATOR_GATEWAY_LISTEN_PORT`).
Lists and mappings are written with commas: `--namespaces a,b`, `--priority-classes low=batch,high=fast`.

Names that end in `_PORT` or `_SERVICE_HOST` after the name of one of the operator's Services are avoided on
purpose: a kubelet sets such variables by itself (service links).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, HttpUrl, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from api.durations import parse_duration
from controller.lease import LEASE_DURATION, RENEW_DEADLINE, RETRY_PERIOD, LeaseTimings
from messages.version import VERSION

ENV_PREFIX = "QISKIT_OPERATOR_"

WILDCARDS = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared with, not bound to

PRIORITIES = ("low", "normal", "high", "urgent")

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


Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0)]
Namespace = Annotated[str, AfterValidator(_dns_label)]
Port = Annotated[int, Field(ge=0, le=65535)]
SandboxLayer = Literal["no_new_privs", "seccomp", "landlock", "rlimits"]
Priority = Literal["low", "normal", "high", "urgent"]
PriorityClass = Annotated[str, AfterValidator(_dns_subdomain)]


class Settings(BaseSettings):
    """Runs circuits as Kubernetes work: the controller and gateway of the Qiskit operator."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, extra="forbid", frozen=True, cli_kebab_case=True, cli_implicit_flags=True,
        cli_hide_none_type=True, cli_avoid_json=True, cli_prog_name="qiskit-operator",
        validate_default=True,
    )  # fmt: skip

    namespaces: Annotated[tuple[Namespace, ...], NoDecode, BeforeValidator(_words)] = Field(
        (), description="Namespaces to watch; none means all."
    )
    operator_namespace: Namespace = Field(
        "qiskit-operator", description="Namespace of the operator's own lease and certificate authority."
    )
    kubeconfig: Path | None = Field(
        None,
        description="Kubeconfig to use; without it $KUBECONFIG, ~/.kube/config, or the pod's own account.",
    )
    context: str | None = Field(None, description="Context of the kubeconfig; without it the current one.")

    leader_election: bool = Field(
        True, description="Take part in leader election. Off only where a single process is certain."
    )
    lease_duration: Seconds = Field(
        LEASE_DURATION, description="Age at which others take an unrenewed lease."
    )
    renew_deadline: Seconds = Field(
        RENEW_DEADLINE, description="Time without renewal after which the leader stops."
    )
    retry_period: Seconds = Field(RETRY_PERIOD, description="Time between attempts to acquire or renew.")

    workers: int = Field(8, ge=1, le=256, description="Jobs that are reconciled at the same time.")
    reconcile_timeout: Seconds = Field(
        120.0, description="Longest time of one reconcile pass; then it counts as failed and is retried."
    )
    shutdown_grace: Seconds = Field(
        30.0, description="Time that passes under way get to finish when the process is told to stop."
    )

    executor_image: str = Field(
        f"qiskit-operator/executor:{VERSION}", min_length=1, description="Image of executor pods."
    )
    validation_url: HttpUrl = Field(
        HttpUrl("http://qiskit-operator-validation:8080"), description="Address of the validation service."
    )
    default_max_execution_time: Seconds = Field(
        3600.0, description="Wall time of an attempt whose job sets no maxExecutionTime."
    )
    max_executors: int = Field(
        0,
        ge=0,
        description="Local jobs that may run at the same time, all namespaces together; 0 is no limit.",
    )
    priority_classes: Annotated[dict[Priority, PriorityClass], NoDecode, BeforeValidator(_mapping)] = Field(
        {}, description="PriorityClass of executor pods by the job's priority, as low=NAME,high=NAME."
    )
    sandbox_relax: Annotated[tuple[SandboxLayer, ...], NoDecode, BeforeValidator(_words)] = Field(
        (),
        description="Sandbox layers that executors may do without: no_new_privs, seccomp, landlock, rlimits.",
    )

    gateway_listen_address: str = Field(
        "0.0.0.0", min_length=1,  # noqa: S104 - executors come from other nodes
        description="Address that the executors' gateway listens on.",
    )  # fmt: skip
    gateway_listen_port: Port = Field(8443, description="Port of the gateway; 0 takes a free one.")
    gateway_advertise_host: str | None = Field(
        None, description="Address that executors are told (of the gateway's Service); needs no DNS if an IP."
    )
    gateway_advertise_port: Port = Field(
        0, description="Port that executors are told; 0 means the one that is listened on."
    )

    metrics_listen_address: str = Field(
        "0.0.0.0", min_length=1,  # noqa: S104 - probed by kubelets, scraped from other pods
        description="Address of /metrics, /healthz and /readyz.",
    )  # fmt: skip
    metrics_listen_port: Port = Field(8080, description="Port of /metrics, /healthz, /readyz; 0: a free one.")
    ports_file: Path | None = Field(
        None, description="File to write the ports in use to, as JSON, once they are open."
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level logged.")
    log_format: Literal["json", "console"] = Field("json", description="One JSON object a line, or text.")

    @property
    def lease_timings(self) -> LeaseTimings:
        """The three durations of leader election, checked against each other."""
        return LeaseTimings(self.lease_duration, self.renew_deadline, self.retry_period)

    @property
    def advertised_host(self) -> str:
        """The host that executors are told."""
        return self.gateway_advertise_host or self.gateway_listen_address

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        try:
            _ = self.lease_timings
        except ValueError as error:
            raise ValueError(
                f"--lease-duration, --renew-deadline and --retry-period do not fit together: {error}"
            ) from None
        if self.gateway_advertise_host is None and self.gateway_listen_address in WILDCARDS:
            raise ValueError(
                "--gateway-advertise-host is missing: executors cannot be told the wildcard address "
                f"{self.gateway_listen_address}. Set it to the gateway's Service's address, or this pod's"
            )
        return self
