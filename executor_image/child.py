"""What runs in the zygote once and in each sandboxed child: the doors between supervisor and Qiskit."""

from __future__ import annotations

import logging
from functools import cache

from qiskit_aer import AerSimulator

from circuits import CircuitError, freeze, load
from executor_image.failures import Failed
from executor_image.simulating import Simulation
from executor_image.steps import Build, Built, Named, Refused, decode_step, encode
from executor_image.transpiling import simulator_passes
from sandbox import Send

USUAL_LEVEL = 1


def preload() -> None:
    """Make once what every child needs. Building these passes leaves one thread; running any would not."""
    _simulator()
    simulator_passes("automatic", USUAL_LEVEL)
    simulator_passes("stabilizer", USUAL_LEVEL)
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
    except Failed as error:
        send(encode(Refused(error.failure)))


@cache
def _simulator() -> AerSimulator:
    return AerSimulator()


def _build(step: Build) -> Built:
    source = step.source
    built = load(source.content, source.format, source.entrypoint, source.parameters)
    for one in built:
        one.circuit.metadata = {}  # means nothing here, and QPY takes only some of it
        one.circuit.name = one.name
    names = tuple(Named(one.name, dict(one.parameters)) for one in built)
    return Built(freeze([one.circuit for one in built]), names)
