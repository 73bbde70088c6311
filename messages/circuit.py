"""How a circuit is handed over and described."""

from __future__ import annotations

from enum import StrEnum

import msgspec

CIRCUITS_LIMIT = 1000
"""Circuits of one job, sweeps included: the result document lists every one of them."""


class Format(StrEnum):
    """The languages that a circuit may be written in (`spec.circuit.format`)."""

    PYTHON = "python"
    QASM2 = "qasm2"
    QASM3 = "qasm3"
    QPY = "qpy"


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """The bytes of a circuit as the user gave them, and how to read them.

    `hash` is `sha256:<hex>` of `content`. `parameters` holds one mapping of parameter name to value for
    each run of a sweep; empty means one run without bindings.
    """

    content: bytes
    hash: str
    format: Format | None = None
    entrypoint: str | None = None
    parameters: tuple[dict[str, float], ...] = ()


class CircuitFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one circuit before it is transpiled.

    `gates` counts neither barriers nor measurements; `gate_types` maps gate name to its count under the
    same rule. `hash` is `sha256:<hex>` over the circuit's structure, independent of the process that built
    it. `memory_bytes` is what `method` needs to simulate it, `None` where that cannot be told beforehand.
    """

    name: str
    qubits: int
    clbits: int
    depth: int
    gates: int
    gate_types: dict[str, int]
    hash: str
    method: str
    memory_bytes: int | None = None
