"""Snapshots of devices: what they hold, and what is made of them."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from executor_image.devices import device_target, known_devices, noise_model, read_snapshot
from executor_image.failures import Failed
from messages.failure import ExecutorReason


def test_there_are_devices_of_several_sizes() -> None:
    sizes = {name: len(read_snapshot(name).qubits) for name in known_devices()}
    assert sizes == {"manila": 5, "nairobi": 7, "guadalupe": 16, "sherbrooke": 127, "torino": 133}


def test_the_devices_of_the_manual_are_those_that_there_are() -> None:
    manual = (Path(__file__).parents[2] / "docs" / "writing-a-job.md").read_text()
    named = dict(re.findall(r"^\| `(\w+)` \| (\d+) \|$", manual, re.MULTILINE))
    assert named == {name: str(len(read_snapshot(name).qubits)) for name in known_devices()}


@pytest.mark.parametrize("name", known_devices())
def test_the_figures_of_a_device_are_physical(name: str) -> None:
    snapshot = read_snapshot(name)
    assert snapshot.name == name
    assert snapshot.source.startswith("qiskit-ibm-runtime ")
    for qubit in snapshot.qubits:
        assert qubit.t1 is None or 1e-6 < qubit.t1 < 2e-3
        assert 0 <= qubit.reads_1_for_0 <= 1
        assert 0 <= qubit.reads_0_for_1 <= 1
    errors = [gate.error for places in snapshot.gates.values() for gate in places if gate.error is not None]
    assert all(0 <= error <= 1 for error in errors)
    assert sorted(errors)[len(errors) // 2] < 0.01


@pytest.mark.parametrize("name", known_devices())
def test_a_device_can_be_transpiled_for(name: str) -> None:
    snapshot = read_snapshot(name)
    target = device_target(snapshot)
    coupling = target.build_coupling_map()
    assert coupling is not None
    assert coupling.size() == len(snapshot.qubits)
    assert coupling.is_connected()
    assert {"measure", "delay", "reset", "if_else", "for_loop", "while_loop", "switch_case"} <= set(
        target.operation_names
    )


def test_a_noise_model_covers_the_qubits_that_are_used_and_reads_0_and_1_differently() -> None:
    snapshot = read_snapshot("sherbrooke")
    model = noise_model(snapshot, [3, 4])
    assert model.noise_qubits == [3, 4]
    readouts = {
        error["gate_qubits"][0][0]: error["probabilities"]
        for error in model.to_dict(serializable=True)["errors"]
        if error["type"] == "roerror"
    }
    qubit = snapshot.qubits[3]
    assert math.isclose(readouts[3][0][1], qubit.reads_1_for_0)
    assert math.isclose(readouts[3][1][0], qubit.reads_0_for_1)


def test_a_noise_model_can_leave_out_what_is_not_done_to_a_qubit() -> None:
    model = noise_model(read_snapshot("sherbrooke"), [3, 4], used={("sx", (4,))})
    assert set(model.noise_instructions) == {"sx", "measure"}
    assert model.noise_qubits == [3, 4]


def test_an_unknown_device_is_a_mistake_of_the_spec() -> None:
    with pytest.raises(Failed) as failed:
        read_snapshot("../../etc/passwd")
    assert failed.value.reason is ExecutorReason.INVALID_SPEC
