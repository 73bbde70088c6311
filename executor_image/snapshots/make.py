"""Writes the device snapshots of this folder from qiskit-ibm-runtime's recorded devices.

    uv run --no-project --with qiskit-ibm-runtime==0.51.0 --with qiskit-aer==0.18.2 --with msgspec \\
      python -m executor_image.snapshots.make

That package must never be installed beside the executor: its transpiler plugins triple the start of every
process that imports Qiskit. Each snapshot is proved before it is written: the noise model made from it
equals the one that Aer makes from the recorded device, up to readout, which the recorded device tells for
0 and 1 apart and Aer's model of it does not.
"""

from __future__ import annotations

import importlib.metadata
import math
import sys
from pathlib import Path
from typing import Any

import msgspec
from qiskit_aer.noise import NoiseModel
from qiskit_ibm_runtime import fake_provider  # type: ignore[import-not-found,unused-ignore]

from executor_image.devices import GateFigures, QubitFigures, Snapshot, noise_model

RECORDED = {
    "manila": "FakeManilaV2",
    "nairobi": "FakeNairobiV2",
    "guadalupe": "FakeGuadalupeV2",
    "sherbrooke": "FakeSherbrooke",
    "torino": "FakeTorino",
}
"""One device of each size and generation: 5, 7 and 16 qubits with cx, 127 with ecr, 133 with cz."""

_NO_GATES = ("delay", "measure", "if_else", "for_loop", "switch_case", "while_loop")
_DIGITS = 7
"""Significant digits that are kept: more than any device is calibrated to."""


def main() -> None:
    """Write every snapshot."""
    for name, recorded in RECORDED.items():
        device = getattr(fake_provider, recorded)()
        snapshot = record(name, device)
        prove(snapshot, device)
        text = msgspec.json.format(msgspec.json.encode(snapshot), indent=0)
        path = Path(__file__).parent / f"{name}.json"
        path.write_bytes(text + b"\n")
        sys.stdout.write(f"{path.name}: {len(snapshot.qubits)} qubits, {len(text)} bytes\n")


def record(name: str, device: Any) -> Snapshot:
    """The figures of one recorded device."""
    target, properties = device.target, device.properties()
    return Snapshot(
        name=name,
        version=str(device.backend_version),
        taken=properties.last_update_date.date().isoformat(),
        source=f"qiskit-ibm-runtime {importlib.metadata.version('qiskit-ibm-runtime')}",
        dt=_round(target.dt),
        qubits=tuple(_qubit(target, properties, q) for q in range(target.num_qubits)),
        gates={gate: _gate(target[gate]) for gate in sorted(target.operation_names) if gate not in _NO_GATES},
    )


def prove(snapshot: Snapshot, device: Any) -> None:
    """Compare gate errors with Aer's model of the recorded device, readout with the recorded figures."""
    qubits = range(min(len(snapshot.qubits), 8))  # the larger devices take minutes
    made = _errors(noise_model(snapshot, qubits))
    known = _errors(NoiseModel.from_backend(device))
    compared = 0
    for key, probabilities in made.items():
        expected = known[key]
        if key[0] == "roerror":
            mean = (probabilities[0][1] + probabilities[1][0]) / 2
            assert math.isclose(mean, expected[0][1], rel_tol=1e-4, abs_tol=1e-6), key
        else:
            close = (math.isclose(a, b, abs_tol=1e-6) for a, b in zip(probabilities, expected, strict=True))
            assert all(close), key
        compared += 1
    assert compared > len(qubits) * 3


def _errors(model: NoiseModel) -> dict[tuple[Any, ...], Any]:
    return {
        (error["type"], tuple(error["operations"]), tuple(map(tuple, error["gate_qubits"]))): error[
            "probabilities"
        ]
        for error in model.to_dict(serializable=True)["errors"]
    }


def _qubit(target: Any, properties: Any, qubit: int) -> QubitFigures:
    figures, measured = target.qubit_properties[qubit], target["measure"][(qubit,)]
    recorded = properties.qubit_property(qubit)
    return QubitFigures(
        t1=_round(figures.t1),
        t2=_round(figures.t2),
        frequency=_round(figures.frequency),
        reads_1_for_0=_round(recorded.get("prob_meas1_prep0", (measured.error,))[0]),
        reads_0_for_1=_round(recorded.get("prob_meas0_prep1", (measured.error,))[0]),
        readout_seconds=_round(measured.duration),
    )


def _gate(properties: Any) -> tuple[GateFigures, ...]:
    return tuple(
        GateFigures(qubits, _round(known.duration), _round(known.error))
        for qubits, known in sorted(properties.items())
        if known is not None
    )


def _round(value: Any) -> Any:
    return None if value is None else float(f"{value:.{_DIGITS}g}")


if __name__ == "__main__":
    main()
