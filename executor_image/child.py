"""What runs in the zygote once and in each sandboxed child: the doors between supervisor and Qiskit."""

from __future__ import annotations

import logging
from functools import cache

from qiskit import QuantumCircuit
from qiskit_aer import AerSimulator

from circuits import BuiltCircuit, CircuitError, describe, freeze, load, thaw
from executor_image.failures import Failed
from executor_image.simulating import Simulation, versions
from executor_image.steps import Build, Built, Refused, decode_step, encode
from executor_image.transpiling import USUAL_WIDTH, simulator_passes
from messages.failure import ExecutorReason
from sandbox import Send

USUAL_LEVEL = 1


def preload() -> None:
    """Make once what every child needs, and fill the caches that a first use fills (10 ms).

    Building passes leaves one thread; running any, or a simulation, would not, and then forking is unsafe.
    """
    versions()
    _simulator()
    circuit = QuantumCircuit(1, 1)
    circuit.h(0)
    circuit.measure(0, 0)
    describe(*thaw(freeze([circuit])))
    simulator_passes("automatic", USUAL_LEVEL, USUAL_WIDTH)
    simulator_passes("stabilizer", USUAL_LEVEL, USUAL_WIDTH)
    logging.getLogger("qiskit_aer").setLevel(logging.CRITICAL)  # what it warns of is in the failure


def run(payload: bytes, send: Send) -> None:
    """Do one step and send its answers."""
    step = decode_step(payload)
    try:
        if isinstance(step, Build):
            send(encode(_build(step)))
        else:
            Simulation(step, send, _simulator()).run()
    except CircuitError as error:
        send(encode(Refused(error.failure())))
    except RecursionError:
        deep = CircuitError(ExecutorReason.CIRCUIT_INVALID, "the circuit is nested too deeply")
        send(encode(Refused(deep.failure())))
    except Failed as error:
        send(encode(Refused(error.failure)))


@cache
def _simulator() -> AerSimulator:
    return AerSimulator()


def _build(step: Build) -> Built:
    source = step.source
    built = load(source.content, source.format, source.entrypoint, source.parameters, noise=step.noise)
    circuits = [_named(one) for one in built]
    return Built(freeze(circuits), tuple(one.parameters for one in built))


def _named(built: BuiltCircuit) -> QuantumCircuit:
    """The circuit under its name here. The same one may be in a list twice, so its own name is left alone."""
    circuit = built.circuit
    if circuit.name != built.name:
        circuit = circuit.copy(built.name)
    circuit.metadata = {}  # means nothing here, and QPY takes only some of it
    return circuit
