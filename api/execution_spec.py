"""How a QiskitJob is run: `spec.backend`, `spec.execution` and `spec.resources`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from api.block import Block, Duration, Quantity, matching, rule, rules

BackendType = Literal["local_simulator"]
"""The types that this release runs. The API knows more; each enters the schema when it works."""

SimulationMethod = Literal[
    "automatic",
    "statevector",
    "density_matrix",
    "stabilizer",
    "matrix_product_state",
]

NoiseModelName = Annotated[
    str,
    matching(
        r"^[A-Za-z0-9][A-Za-z0-9_.-]*$",
        "must be the name of a device snapshot: letters, digits, '_', '-' and '.', such as manila",
        longest=63,
    ),
]

Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]


class BackendReference(Block):
    """Where the circuits run."""

    type: BackendType
    """The kind of backend. This release runs `local_simulator`: Qiskit Aer in a pod of the job's
    namespace."""

    name: Annotated[str, Field(min_length=1, max_length=253)] | None = None
    """A QiskitBackend of the job's namespace, whose image, resources, noise and limits then apply. Without
    a name the operator's own defaults do."""


class ExecutionSpec(Block):
    """How the circuits are run."""

    shots: Annotated[int, Field(ge=1, le=100_000)] = 1024
    """How often each circuit is run and measured."""

    optimization_level: Annotated[int, Field(ge=0, le=3)] = 1
    """How hard the transpiler works, as in Qiskit: 0 only maps the circuit to the backend, 3 tries
    hardest."""

    max_execution_time: Duration | None = None
    """The longest that one attempt may take, from handing out the work to handing in the result, for
    example `10m`. After that the attempt is ended and the job is Failed with reason ExecutionTimeout.
    Without it the operator's setting applies, 1h unless the administrator changed it."""

    priority: Literal["low", "normal", "high", "urgent"] = "normal"
    """Which job goes first when a backend's `limits.concurrentJobs` makes them wait; among equals the older
    one. It also selects the pod's PriorityClass where the administrator configured one."""

    seed_simulator: Seed | None = None
    """Seed of the simulator's random numbers. The same seed, circuit and versions give the same counts.
    Without it one is drawn; either way the result records it."""

    seed_transpiler: Seed | None = None
    """Seed of the transpiler's random choices; drawn and recorded like `seedSimulator`."""

    method: SimulationMethod = "automatic"
    """Aer's simulation method; `automatic` lets Aer choose by circuit and noise. Memory depends on it:
    `statevector` takes 16 bytes for each of 2^n amplitudes, `density_matrix` 16 for each of 4^n,
    `stabilizer` next to nothing but it runs Clifford circuits only."""

    noise_model: NoiseModelName | None = None
    """Name of a device whose recorded noise is simulated, for example `manila`. The circuit is then
    transpiled to that device's basis gates and coupling map. An unknown name fails the job with a list of
    the known ones."""


def _requests_fit(resource: str) -> dict[str, Any]:
    request, limit = f"self.requests['{resource}']", f"self.limits['{resource}']"
    given = " && ".join(f"has({part}) && '{resource}' in {part}" for part in ("self.requests", "self.limits"))
    readable = f"isQuantity(string({request})) && isQuantity(string({limit}))"
    return rule(
        f"!({given} && {readable}) || quantity(string({request})).compareTo(quantity(string({limit}))) <= 0",
        f"requests.{resource} must not be more than limits.{resource}",
        field="requests",
    )


class ResourcesSpec(Block):
    """What the executor's pod asks of its node, as in a pod. What is left out is derived from the circuit's
    size and method."""

    model_config = ConfigDict(json_schema_extra=rules(_requests_fit("cpu"), _requests_fit("memory")))

    requests: Annotated[dict[str, Quantity], Field(max_length=16)] | None = None
    """What the node must have free, by resource name: `cpu`, `memory`, or any other that the nodes
    offer."""

    limits: Annotated[dict[str, Quantity], Field(max_length=16)] | None = None
    """What the pod may use at most. A memory limit that cannot hold the circuit's state fails the job with
    reason InsufficientResources before a pod is made; `cpu` also sets the simulator's number of threads."""
