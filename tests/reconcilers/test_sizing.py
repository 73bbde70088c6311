"""What a pod asks for, from what its job, its backend and its circuit say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.quantities import parse_memory, parse_quantity
from api.views import CircuitMetadata
from api.views import Resources as ResourcesView
from backends import Resources
from reconcilers.job.sizing import LARGEST_MACHINE, PROCESS_MEMORY, shortage, size

NOTHING = ResourcesView()
GIB = 1 << 30


def a_circuit(memory: int | None = 64, qubits: int = 2) -> CircuitMetadata:
    return CircuitMetadata(qubits=qubits, method="statevector", memory_bytes=memory)


def asking(requests: dict[str, Any] | None = None, limits: dict[str, Any] | None = None) -> ResourcesView:
    return ResourcesView(requests=requests or {}, limits=limits or {})


@pytest.mark.parametrize(
    ("own", "backend", "circuit", "want"),
    [
        pytest.param(
            NOTHING,
            NOTHING,
            a_circuit(),
            Resources(requests={"cpu": "250m", "memory": "256Mi"}, limits={"cpu": "1", "memory": "512Mi"}),
            id="a small circuit",
        ),
        pytest.param(
            NOTHING,
            NOTHING,
            None,
            Resources(requests={"cpu": "250m", "memory": "256Mi"}, limits={"cpu": "1", "memory": "512Mi"}),
            id="a circuit that nobody has looked at",
        ),
        pytest.param(
            NOTHING,
            NOTHING,
            a_circuit(memory=16 << 28, qubits=28),
            Resources(requests={"cpu": "1", "memory": "4736Mi"}, limits={"cpu": "2", "memory": "4736Mi"}),
            id="a state vector of 28 qubits",
        ),
        pytest.param(
            asking(limits={"memory": "2Gi"}),
            NOTHING,
            a_circuit(),
            Resources(requests={"cpu": "250m"}, limits={"cpu": "1", "memory": "2Gi"}),
            id="a limit alone is the request, too",
        ),
        pytest.param(
            asking(requests={"memory": "8Gi"}),
            NOTHING,
            a_circuit(),
            Resources(requests={"cpu": "250m", "memory": "8Gi"}, limits={"cpu": "1", "memory": "8Gi"}),
            id="a request alone is held by the limit",
        ),
        pytest.param(
            asking(requests={"cpu": 2}),
            asking(requests={"cpu": "1", "memory": "1Gi"}, limits={"memory": "1Gi"}),
            a_circuit(),
            Resources(requests={"cpu": "2", "memory": "1Gi"}, limits={"cpu": "2", "memory": "1Gi"}),
            id="the job's word before the backend's, one resource at a time",
        ),
        pytest.param(
            asking(limits={"nvidia.com/gpu": 1}),
            NOTHING,
            a_circuit(),
            Resources(
                requests={"cpu": "250m", "memory": "256Mi"},
                limits={"cpu": "1", "memory": "512Mi", "nvidia.com/gpu": "1"},
            ),
            id="any other resource passes through",
        ),
    ],
)
def test_the_size_of_a_pod(
    own: ResourcesView, backend: ResourcesView, circuit: CircuitMetadata | None, want: Resources
) -> None:
    assert size(own, backend, circuit) == want


@given(memory=st.integers(min_value=0, max_value=LARGEST_MACHINE))
def test_a_derived_limit_always_holds_the_state(memory: int) -> None:
    circuit = a_circuit(memory=memory, qubits=30)
    resources = size(NOTHING, NOTHING, circuit)
    assert shortage(resources, circuit) is None
    assert parse_memory(resources.limits["memory"]) >= memory + PROCESS_MEMORY
    for name, request in resources.requests.items():
        assert parse_quantity(request) <= parse_quantity(resources.limits[name])


def test_a_limit_that_cannot_hold_the_state_is_told_with_what_can() -> None:
    circuit = a_circuit(memory=4 * GIB, qubits=28)
    resources = size(asking(limits={"memory": "4Gi"}), NOTHING, circuit)
    assert shortage(resources, circuit) == (
        "28 qubits with method statevector need at least 4Gi128Mi, and the memory limit is 4Gi: raise "
        "spec.resources.limits.memory, or choose another spec.execution.method"
    ).replace("4Gi128Mi", "4224Mi")
    assert shortage(size(asking(limits={"memory": "4224Mi"}), NOTHING, circuit), circuit) is None


def test_one_qubit_is_one() -> None:
    circuit = a_circuit(memory=32, qubits=1)
    said = shortage(size(asking(limits={"memory": "64Mi"}), NOTHING, circuit), circuit)
    assert said is not None
    assert said.startswith("1 qubit with method statevector needs at least ")


def test_a_limit_in_thousandths_of_a_byte_is_told_what_its_suffix_means() -> None:
    circuit = a_circuit(memory=64, qubits=2)
    said = shortage(size(asking(limits={"memory": "512m"}), NOTHING, circuit), circuit)
    assert said is not None
    assert "the memory limit is 512m (m is a thousandth of a byte, Mi a mebibyte): raise" in said


def test_what_no_machine_holds_is_refused_without_a_limit_too() -> None:
    circuit = a_circuit(memory=16 << 60, qubits=60)
    assert "more memory than any machine" in (shortage(size(NOTHING, NOTHING, circuit), circuit) or "")


def test_a_circuit_of_unknown_size_is_not_refused() -> None:
    circuit = a_circuit(memory=None)
    assert shortage(size(asking(limits={"memory": "1Mi"}), NOTHING, circuit), circuit) is None
