"""Settings of the service: flags first, then environment variables, then defaults.

`--listen-port` is also `VALIDATION_LISTEN_PORT`, and so on for every setting.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, NamedTuple, get_type_hints

from sandbox import Layer, relaxed_layers
from validation_image.addresses import PUBLIC_ONLY, AddressRule

ENV_PREFIX = "VALIDATION_"


class Setting(NamedTuple):
    """How a setting is read from text, and what it is for."""

    read: Callable[[str], Any]
    description: str


def _rule(text: str) -> AddressRule:
    return AddressRule.read(word.strip() for word in text.split(",") if word.strip())


def _positive(kind: Callable[[str], Any]) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        value = kind(text)
        if value <= 0:
            raise ValueError("must be greater than 0")
        return value

    return read


def _level(text: str) -> str:
    if text not in ("debug", "info", "warning", "error"):
        raise ValueError("not a level")
    return text


def _size(text: str) -> int:
    """Bytes, plain or with Ki, Mi or Gi."""
    for index, suffix in enumerate(("Ki", "Mi", "Gi"), start=1):
        if text.endswith(suffix):
            return int(text.removesuffix(suffix)) << 10 * index
    return int(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every knob of the service. The defaults suit a pod of 4 GiB, also if all places are taken by hostile code."""

    listen_host: Annotated[str, Setting(str, "Address to listen on.")] = "0.0.0.0"  # noqa: S104 - a pod's own
    listen_port: Annotated[int, Setting(int, "Port to listen on; 0 takes a free one.")] = 8080
    ports_file: Annotated[Path | None, Setting(Path, "File to write the port in use to, as JSON.")] = None
    log_level: Annotated[str, Setting(_level, "Least level logged: debug, info, warning or error.")] = "info"

    concurrency: Annotated[int, Setting(_positive(int), "Validations at the same time.")] = 2
    queue: Annotated[int, Setting(int, "Validations that may wait; beyond that the answer is 429.")] = 16
    wall_seconds: Annotated[float, Setting(_positive(float), "Wall time of one validation.")] = 10.0
    cpu_seconds: Annotated[float, Setting(_positive(float), "CPU time of one validation.")] = 10.0
    memory_bytes: Annotated[int, Setting(_positive(_size), "Memory of one validation (1Gi).")] = 1 << 30
    output_bytes: Annotated[int, Setting(_positive(_size), "What the code of one validation may print.")] = (
        1 << 20
    )
    sandbox_relax: Annotated[
        frozenset[Layer], Setting(relaxed_layers, f"Sandbox layers that may be missing: {', '.join(Layer)}.")
    ] = frozenset()

    fetch_concurrency: Annotated[
        int, Setting(_positive(int), "Sources that are fetched at the same time.")
    ] = 4
    fetch_queue: Annotated[int, Setting(int, "Fetches that may wait; beyond that the answer is 429.")] = 32
    fetch_seconds: Annotated[float, Setting(_positive(float), "Wall time of one fetch.")] = 30.0
    source_bytes: Annotated[
        int, Setting(_positive(_size), "Largest source; a ConfigMap has to hold it (1 MiB).")
    ] = 1_000_000
    repository_bytes: Annotated[
        int, Setting(_positive(_size), "Largest download for the one commit of a Git repository.")
    ] = 16 << 20
    allow: Annotated[
        AddressRule,
        Setting(
            _rule,
            "Hosts and CIDRs that may be fetched from although they are not public, separated by commas.",
        ),
    ] = PUBLIC_ONLY
    ca_file: Annotated[
        Path | None, Setting(Path, "PEM file of authorities to trust besides the system's.")
    ] = None


def read_settings(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Read flags and variables. Exits with a message, as argparse does, if one of them makes no sense."""
    parser = argparse.ArgumentParser(
        prog="python -m validation_image", description=(__doc__ or "").split("\n")[0]
    )
    for name, annotated in get_type_hints(Settings, include_extras=True).items():
        setting: Setting = annotated.__metadata__[0]
        variable = ENV_PREFIX + name.upper()
        parser.add_argument(
            "--" + name.replace("_", "-"),
            type=_reader(setting.read),
            default=environment.get(variable, _DEFAULTS[name]),  # argparse reads a default that is a string
            metavar="VALUE",
            help=f"{setting.description} [{variable}]".replace("%", "%%"),
        )
    return Settings(**vars(parser.parse_args(arguments)))


_DEFAULTS = {field.name: field.default for field in fields(Settings)}


def _reader(read: Callable[[str], Any]) -> Callable[[str], Any]:
    def described(text: str) -> Any:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r}: {error}") from error

    return described
