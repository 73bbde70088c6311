"""What an executor is told by its environment. It has no flags and no files of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sandbox import Layer, relaxed_layers


class Misconfigured(Exception):
    """The environment lacks something or cannot be read; the message names the variable."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One field for each variable; `threads` is what the simulator may use."""

    gateway_url: str
    gateway_ca: str
    gateway_server_name: str
    token_file: Path
    work_dir: Path
    termination_log: Path | None
    output_dir: Path | None
    sandbox_relax: frozenset[Layer]
    pod_name: str
    pod_uid: str
    node: str
    threads: int

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Settings:
        """Read the settings.

        Raises:
            Misconfigured: if a required variable is missing or a value makes no sense.
        """

        def required(name: str) -> str:
            value = environment.get(name)
            if not value:
                raise Misconfigured(f"{name} is not set")
            return value

        def path(name: str) -> Path | None:
            value = environment.get(name)
            return Path(value) if value else None

        threads = environment.get("OMP_NUM_THREADS") or "1"
        if not threads.isdecimal() or int(threads) < 1:
            raise Misconfigured(f"OMP_NUM_THREADS is {threads!r}, expected a whole number of threads")
        try:
            relax = relaxed_layers(environment.get("EXECUTOR_SANDBOX", "required"))
        except ValueError as error:
            raise Misconfigured(f"EXECUTOR_SANDBOX: {error}") from None
        return cls(
            gateway_url=required("EXECUTOR_GATEWAY_URL").rstrip("/"),
            gateway_ca=required("EXECUTOR_GATEWAY_CA"),
            gateway_server_name=required("EXECUTOR_GATEWAY_SERVER_NAME"),
            token_file=Path(required("EXECUTOR_TOKEN_FILE")),
            work_dir=Path(required("EXECUTOR_WORK_DIR")),
            termination_log=path("EXECUTOR_TERMINATION_LOG"),
            output_dir=path("EXECUTOR_OUTPUT_DIR"),
            sandbox_relax=relax,
            pod_name=environment.get("EXECUTOR_POD_NAME", ""),
            pod_uid=environment.get("EXECUTOR_POD_UID", ""),
            node=environment.get("EXECUTOR_NODE", ""),
            threads=int(threads),
        )
