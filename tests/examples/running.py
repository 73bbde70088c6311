"""The examples as their manifests say them, and a run of their circuits in this process."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from qiskit import generate_preset_pass_manager
from qiskit.transpiler import PassManager
from qiskit_aer import AerSimulator

import circuits
import examples
from executor_image import devices
from messages.circuit import Format

FOLDER = Path(examples.__file__).parent

MANIFESTS: dict[str, dict[str, Any]] = {
    path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.yaml"))
}
"""Every example by the name of its file."""


@cache
def run(name: str, *, seed: int) -> dict[str, Any]:
    """Build and run an example as the executor does, and return what a check reads of its result.

    Runs are kept, so a test must not change what it gets.
    """
    spec = MANIFESTS[name]["spec"]
    circuit, execution = spec["circuit"], spec.get("execution", {})
    shots = execution.get("shots", 1024)
    built = circuits.load(
        circuit["code"].encode(),
        Format(circuit["format"]) if "format" in circuit else None,
        circuit.get("entrypoint"),
        circuit.get("parameters", []),
    )
    noise = execution.get("noiseModel")
    counts = []
    for one in built:
        simulator, passes = _device(noise) if noise else _ideal(circuits.choose_method(one.circuit))
        result = simulator.run(passes.run(one.circuit), shots=shots, seed_simulator=seed).result()
        counts.append(result.get_counts())
    return document(counts, shots)


@cache
def _ideal(method: str) -> tuple[AerSimulator, PassManager]:
    simulator = AerSimulator(method=method)
    return simulator, generate_preset_pass_manager(optimization_level=1, backend=simulator, seed_transpiler=1)


@cache
def _device(name: str) -> tuple[AerSimulator, PassManager]:
    snapshot = devices.read_snapshot(name)
    target = devices.device_target(snapshot)
    simulator = AerSimulator(noise_model=devices.noise_model(snapshot, range(target.num_qubits)))
    return simulator, generate_preset_pass_manager(optimization_level=1, target=target, seed_transpiler=1)


def document(counts: list[dict[str, int]], shots: int) -> dict[str, Any]:
    """The part of a result document that the checks read."""
    results: dict[str, Any] = {"counts": counts[0], "success": True}
    if len(counts) > 1:
        results["circuits"] = [{"counts": one} for one in counts]
    return {"shots": shots, "results": results}
