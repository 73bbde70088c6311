"""The step that yields counts: thaw, transpile, check the memory, simulate. No user code runs here."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from itertools import accumulate
from typing import Any

from qiskit import QuantumCircuit
from qiskit.circuit import ControlFlowOp
from qiskit.transpiler import PassManager
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel

from circuits import count_gates, describe, freeze, memory_bytes, simulated_qubits, thaw
from circuits.composites import without_names
from circuits.methods import AUTOMATIC
from circuits.user_traceback import describe_exception
from circuits.wording import called, counted
from executor_image.corrections import (
    corrected,
    with_spare_bits,
    with_true_powers,
    with_whole_branches,
    with_whole_memory,
)
from executor_image.devices import Place, Snapshot, device_target, noise_model, read_snapshot
from executor_image.failures import Failed
from executor_image.steps import Done, Ran, Reached, Simulate, encode
from executor_image.transpiling import (
    Transpiled,
    device_passes,
    in_quarter_turns,
    transpile,
    transpile_clifford,
    transpile_ideal,
)
from messages.circuit import CircuitFacts
from messages.failure import ExecutorReason
from messages.work import Stage
from sandbox import Send

_SEEDS = 1 << 32
"""A spec takes seeds below this, and Aer any."""


@dataclass(frozen=True)
class _Ready:
    """A transpiled circuit that waits for its run."""

    facts: CircuitFacts
    parameters: dict[str, float]
    transpiled: Transpiled
    method: str
    seconds: float


class Simulation:
    """One `Simulate` step from thawing to the last count."""

    def __init__(self, step: Simulate, send: Send, simulator: AerSimulator) -> None:
        """`simulator` has been made before the fork; nothing was run on it."""
        self._step = step
        self._send = send
        self._simulator = simulator
        execution = step.execution
        self._device = (
            read_snapshot(execution.noise_model, execution.noise_field) if execution.noise_model else None
        )
        self._passes: dict[int, PassManager] = {}
        self._total = len(step.built.parameters)

    def run(self) -> None:
        """Send a `Ran` for each circuit and one `Done`.

        Raises:
            Failed: if a circuit cannot be transpiled, does not fit into memory, or is refused by Aer.
            circuits.CircuitError: if the frozen circuits cannot be read.
        """
        circuits = thaw(self._step.built.qpy)
        if len(circuits) != self._total:
            raise Failed(
                ExecutorReason.CIRCUIT_INVALID, "the built circuits are not as many as their parameters"
            )
        self._reached(Stage.TRANSPILING, 0)
        ready = [self._prepare(c, p) for c, p in zip(circuits, self._step.built.parameters, strict=True)]
        noise = self._noise(ready)
        for index, one in enumerate(ready):
            self._reached(Stage.RUNNING, index)
            # The stabilizer method does the noise of some qubits only, and looks at all that the model has.
            own = self._noise([one]) if one.method == "stabilizer" else noise
            self._send(encode(self._simulate(one, own, self._seed(index))))
        kept = freeze([one.transpiled.circuit for one in ready]) if self._step.keep_circuits else None
        self._send(encode(Done(versions=versions(), device=_described(self._device), qpy=kept)))

    def _prepare(self, circuit: QuantumCircuit, parameters: dict[str, float]) -> _Ready:
        execution, most = self._step.execution, self._step.most_qubits
        if most is not None and circuit.num_qubits > most:
            raise Failed(
                ExecutorReason.INSUFFICIENT_RESOURCES,
                f"{called(circuit.name)} has {counted(circuit.num_qubits, 'qubit')}, and its backend takes at most "
                f"{most}",
            )
        facts = describe(
            circuit,
            method=execution.method,
            noise=self._device is not None,
            shots=execution.shots,
        )
        self._check_memory(facts.name, facts.method, simulated_qubits(circuit))
        started = time.perf_counter()
        method, made = self._transpile(with_true_powers(without_names(circuit)), facts)
        seconds = time.perf_counter() - started
        self._check_memory(facts.name, method, simulated_qubits(made.circuit))
        return _Ready(facts, parameters, made, method, seconds)

    def _transpile(self, circuit: QuantumCircuit, facts: CircuitFacts) -> tuple[str, Transpiled]:
        execution = self._step.execution
        level = execution.optimization_level
        made: Transpiled | None
        if self._device is not None:
            made = self._transpile_for(self._device, circuit, facts)
            if made is None:
                raise _no_clifford(facts.name)
            return facts.method, made
        if facts.method == "stabilizer":
            made = transpile_clifford(circuit, level)
            if made is not None:
                return facts.method, made
            if execution.method != AUTOMATIC:
                raise _no_clifford(facts.name)
        method = execution.method
        return method, transpile_ideal(circuit, method, level)

    def _transpile_for(
        self, device: Snapshot, circuit: QuantumCircuit, facts: CircuitFacts
    ) -> Transpiled | None:
        if circuit.num_qubits > len(device.qubits):
            raise Failed(
                ExecutorReason.CIRCUIT_INVALID,
                f"{called(facts.name)} has {counted(circuit.num_qubits, 'qubit')}, the device {device.name} "
                f"{len(device.qubits)}; choose a larger device in {self._step.execution.noise_field}",
            )
        level = self._step.execution.optimization_level

        def made_at(level: int) -> Transpiled:
            return transpile(circuit, self._passes_for(device, level), level)

        return in_quarter_turns(level, made_at) if facts.method == "stabilizer" else made_at(level)

    def _passes_for(self, device: Snapshot, level: int) -> PassManager:
        seed = self._step.execution.seed_transpiler
        assert seed is not None, "drawn by the supervisor"
        if level not in self._passes:
            self._passes[level] = device_passes(device_target(device), level, seed)
        return self._passes[level]

    def _check_memory(self, name: str, method: str, qubits: int) -> None:
        shown = "statevector" if method == AUTOMATIC else method
        needed = memory_bytes(shown, qubits)
        if needed is None or needed <= self._step.memory_bytes:
            return
        overhead = self._step.pod_overhead_bytes
        raise Failed(
            ExecutorReason.INSUFFICIENT_RESOURCES,
            f"{called(name)} needs {_amount(needed)} for {counted(qubits, 'qubit')} with the method {shown}, and this "
            f"pod has {_amount(self._step.memory_bytes)} for it; set spec.resources.limits.memory to "
            f"{_amount(needed + overhead)} or more, use fewer qubits, or another spec.execution.method "
            "(matrix_product_state needs less where there is little entanglement)",
        )

    def _noise(self, ready: Sequence[_Ready]) -> NoiseModel | None:
        if self._device is None:
            return None
        circuits = [one.transpiled.circuit for one in ready]
        used = {place for circuit in circuits for place in _places(circuit, range(circuit.num_qubits))}
        return noise_model(self._device, {qubit for _, on in used for qubit in on}, used)

    def _simulate(self, one: _Ready, noise: NoiseModel | None, seed: int) -> Ran:
        execution = self._step.execution
        options: dict[str, Any] = {
            "shots": execution.shots,
            "seed_simulator": seed,
            "method": one.method,
            "max_parallel_threads": self._step.threads,
            "max_memory_mb": max(1, self._step.memory_bytes >> 20),
            "noise_model": noise,
        }
        circuit = corrected(one.transpiled.circuit)
        given = circuit if noise is None else with_spare_bits(circuit)
        started = time.perf_counter()
        result = self._run(one.facts.name, given, options)
        if not result.success and "invalid cbit index" in str(result.status):
            given = with_whole_memory(given)
            result = self._run(one.facts.name, given, options)
        if not result.success and "Failed to load circuits" in str(result.status):
            result = self._run(one.facts.name, with_whole_branches(given), options)
        if not result.success:
            # All instructions of a device are for the stabilizer; what is not comes from the noise.
            foreign = one.method == "stabilizer" and "invalid instructions" in str(result.status)
            if self._device is not None and foreign:
                raise _no_clifford_noise(one.facts.name, self._device.name, execution.noise_field)
            raise _refusal(one.facts.name, result)
        if "counts" not in result.data():
            raise Failed(
                ExecutorReason.NO_MEASUREMENT,
                f"{called(one.facts.name)} ends without having measured anything, so it has no counts: its "
                "measurements are in a loop that is never entered",
            )
        counts = _counts(result, one.transpiled.circuit)
        seconds = time.perf_counter() - started
        return Ran(
            facts=one.facts,
            parameters=one.parameters,
            method=result.results[0].metadata["method"],
            counts=dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))),
            seed_simulator=seed,
            optimization_level=one.transpiled.level,
            transpiled_depth=circuit.depth(),
            transpiled_gates=sum(count_gates(circuit).values()),
            transpile_seconds=one.seconds,
            execution_seconds=seconds,
        )

    def _run(self, name: str, circuit: QuantumCircuit, options: dict[str, Any]) -> Any:
        try:
            return self._simulator.run(circuit, **options).result()
        except MemoryError:
            raise
        except Exception as error:  # Aer raises what its assembler stumbles over, of any type
            text = f"the simulator cannot take {called(name)}: {describe_exception(error)}"
            raise Failed(ExecutorReason.CIRCUIT_INVALID, text) from error

    def _seed(self, index: int) -> int:
        """Each circuit gets a seed of its own, so that it can be run again alone.

        Where every shot is simulated by itself, Aer gives the seed plus its number to each: circuits with seeds that
        are closer together than that have shots in common, and then their counts are not independent.
        """
        seed = self._step.execution.seed_simulator
        assert seed is not None, "drawn by the supervisor"
        return (seed + index * self._step.execution.shots) % _SEEDS

    def _reached(self, stage: Stage, done: int) -> None:
        self._send(encode(Reached(stage, done, self._total)))


def _counts(result: Any, circuit: QuantumCircuit) -> dict[str, int]:
    """Counts of what `circuit` has measured, under Qiskit's own keys, or plain digits where those would be wrong.

    Qiskit cuts a key at the lengths of the registers. Where they are not all classical bits in their order, it cuts in
    the wrong places, and outcomes that differ in what is cut off lose their counts to one another.
    """
    width = circuit.num_clbits
    sizes = [len(register) for register in circuit.cregs]
    if [bit for register in circuit.cregs for bit in register] != circuit.clbits:
        sizes = [width]
    ends = list(accumulate(sizes))
    counts: Counter[str] = Counter()
    for key, count in result.data()["counts"].items():
        digits = f"{int(key, 16):0{width}b}"[-width:]  # without those of spare bits
        parts = [digits[width - end : width - end + size] for end, size in zip(ends, sizes, strict=True)]
        counts[" ".join(reversed(parts))] += int(count)
    return dict(counts)


def _places(circuit: QuantumCircuit, qubits: Sequence[int]) -> Iterator[Place]:
    """What acts on which of a device's qubits, within bodies of control flow too; `qubits` are those of `circuit`."""
    places = dict(zip(circuit.qubits, qubits, strict=True))
    for instruction in circuit.data:
        on = tuple(places[qubit] for qubit in instruction.qubits)
        if isinstance(instruction.operation, ControlFlowOp):
            for block in instruction.operation.blocks:
                yield from _places(block, on)
        elif instruction.name != "barrier":
            yield instruction.name, on


def _no_clifford(name: str) -> Failed:
    return Failed(
        ExecutorReason.CIRCUIT_INVALID,
        f"{called(name)} is no Clifford circuit, so the method stabilizer cannot run it; leave "
        "spec.execution.method at automatic",
    )


def _no_clifford_noise(name: str, device: str, field: str) -> Failed:
    """Errors are Pauli gates and resets, which the method does, on all other qubits."""
    return Failed(
        ExecutorReason.CIRCUIT_INVALID,
        f"{called(name)} is put on qubits of the device {device} that keep their phase longer than their energy, "
        "which the method stabilizer cannot simulate; set spec.execution.method to statevector or "
        f"matrix_product_state, or choose another device in {field}",
    )


def _refusal(name: str, result: Any) -> Failed:
    """What Aer says of a circuit that it does not run. Its results are not exceptions."""
    status = str(result.results[0].status if result.results else result.status)
    text = status.removeprefix("ERROR:").strip()
    insufficient = "nsufficient memory" in text or "more memory than" in text
    reason = ExecutorReason.INSUFFICIENT_RESOURCES if insufficient else ExecutorReason.CIRCUIT_INVALID
    return Failed(reason, f"the simulator does not run {called(name)}: {text}")


@cache
def versions() -> dict[str, str]:
    """What the counts depend on besides circuit and seed."""
    names = {"qiskit": "qiskit", "qiskit_aer": "qiskit-aer", "numpy": "numpy"}
    return {key: version(package) for key, package in names.items()}


def _described(device: Snapshot | None) -> dict[str, str] | None:
    if device is None:
        return None
    return {"name": device.name, "version": device.version, "taken": device.taken, "source": device.source}


def _amount(size: int) -> str:
    """Bytes as a Kubernetes quantity of at most four digits, rounded up so that it can be used as a limit."""
    for exponent, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi"), start=1):
        amount = -(-size >> 10 * exponent)
        if amount < 10_000:
            return f"{amount}{suffix}"
    return f"{amount}Pi"
