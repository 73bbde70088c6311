"""Settings of the operator's process: flags first, then environment variables, then defaults.

Every setting is a flag (`--gateway-listen-port`) and a variable (`QISKIT_OPERATOR_GATEWAY_LISTEN_PORT`).
Lists and mappings are written with commas: `--namespaces a,b`, `--priority-classes low=batch,high=fast`.

Names that end in `_PORT` or `_SERVICE_HOST` after the name of one of the operator's Services are avoided on
purpose: a kubelet sets such variables by itself (service links).
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, HttpUrl, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from controller.lease import LEASE_DURATION, RENEW_DEADLINE, RETRY_PERIOD, LeaseTimings
from controller.setting_types import (
    Host,
    Namespace,
    Namespaces,
    Port,
    PriorityClasses,
    SandboxLayers,
    Seconds,
)
from messages.version import VERSION

ENV_PREFIX = "QISKIT_OPERATOR_"

WILDCARDS = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared with, not bound to


class Settings(BaseSettings):
    """Runs circuits as Kubernetes work: the controller and gateway of the Qiskit operator."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, extra="forbid", frozen=True, cli_kebab_case=True, cli_implicit_flags=True,
        cli_hide_none_type=True, cli_avoid_json=True, cli_prog_name="qiskit-operator",
        validate_default=True, env_ignore_empty=True,
    )  # fmt: skip

    namespaces: Namespaces = Field(default=(), description="Namespaces to watch; none means all.")
    operator_namespace: Namespace = Field(
        default="qiskit-operator",
        description="Namespace of the operator's own lease and certificate authority.",
    )
    kubeconfig: Path | None = Field(
        default=None,
        description="Kubeconfig to use; without it $KUBECONFIG, ~/.kube/config, or the pod's own account.",
    )
    context: str | None = Field(
        default=None, description="Context of the kubeconfig; without it the current one."
    )

    leader_election: bool = Field(
        default=True, description="Take part in leader election. Off only where a single process is certain."
    )
    lease_duration: Seconds = Field(
        default=LEASE_DURATION, description="Age at which others take an unrenewed lease."
    )
    renew_deadline: Seconds = Field(
        default=RENEW_DEADLINE, description="Time without renewal after which the leader stops."
    )
    retry_period: Seconds = Field(
        default=RETRY_PERIOD, description="Time between attempts to acquire or renew."
    )

    workers: int = Field(default=8, ge=1, le=256, description="Jobs that are reconciled at the same time.")
    reconcile_timeout: Seconds = Field(
        default=120.0,
        description="Longest time of one reconcile pass; then it counts as failed and is retried.",
    )
    shutdown_grace: Seconds = Field(
        default=30.0, description="Time that passes under way get to finish when the process is told to stop."
    )

    executor_image: str = Field(
        default=f"qiskit-operator/executor:{VERSION}", min_length=1, description="Image of executor pods."
    )
    validation_url: HttpUrl = Field(
        default=HttpUrl("http://qiskit-operator-validation:8080"),
        description="Address of the validation service.",
    )
    default_max_execution_time: Seconds = Field(
        default=3600.0, description="Wall time of an attempt whose job sets no maxExecutionTime."
    )
    max_executors: int = Field(
        default=0,
        ge=0,
        description="Local jobs that may run at the same time, all namespaces together; 0 is no limit.",
    )
    priority_classes: PriorityClasses = Field(
        default={}, description="PriorityClass of executor pods by the job's priority, as low=NAME,high=NAME."
    )
    sandbox_relax: SandboxLayers = Field(
        default=(),
        description="Sandbox layers that executors may do without: no_new_privs, seccomp, landlock, rlimits.",
    )

    gateway_listen_address: Host = Field(
        default="0.0.0.0", min_length=1,  # noqa: S104 - executors come from other nodes
        description="Address that the executors' gateway listens on.",
    )  # fmt: skip
    gateway_listen_port: Port = Field(default=8443, description="Port of the gateway; 0 takes a free one.")
    gateway_advertise_host: Host | None = Field(
        default=None,
        description="Address that executors are told (of the gateway's Service); needs no DNS if an IP.",
    )
    gateway_advertise_port: Port = Field(
        default=0, description="Port that executors are told; 0 means the one that is listened on."
    )

    metrics_listen_address: Host = Field(
        default="0.0.0.0", min_length=1,  # noqa: S104 - probed by kubelets, scraped from other pods
        description="Address of /metrics, /healthz and /readyz.",
    )  # fmt: skip
    metrics_listen_port: Port = Field(
        default=8080, description="Port of /metrics, /healthz, /readyz; 0: a free one."
    )
    ports_file: Path | None = Field(
        default=None, description="File to write the ports in use to, as JSON, once they are open."
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level logged."
    )
    log_format: Literal["json", "console"] = Field(
        default="json", description="One JSON object a line, or text."
    )

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
        if self.validation_url.username is not None:
            raise ValueError(
                "--validation-url has a user name in it, which the validation service would never be told: leave it out"
            )
        if self.gateway_advertise_host is None and self.gateway_listen_address in WILDCARDS:
            raise ValueError(
                "--gateway-advertise-host is missing: executors cannot be told the wildcard address "
                f"{self.gateway_listen_address}. Set it to the gateway's Service's address, or this pod's"
            )
        return self
