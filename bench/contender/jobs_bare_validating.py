"""The bare client of jobs, with the validation in front that the operator has, too: three calls to the pod.

It asks the validation service, writes the intent, creates the pod; what the answers say it does not look at.
"""

from __future__ import annotations

import argparse

import aiohttp
import msgspec

from api.meta import ObjectMeta
from bench.contender.harness import Journal, configuration, run, say
from bench.contender.job_writes import JobWriter
from kube import QISKIT_JOBS, Client
from kube.events import EventRecorder
from messages.validation import ValidateRequest


class _Circuit(msgspec.Struct, frozen=True):
    code: str = ""


class _Spec(msgspec.Struct, frozen=True):
    circuit: _Circuit = _Circuit()


class _Object(msgspec.Struct, frozen=True):
    metadata: ObjectMeta
    spec: _Spec = _Spec()


class _Event(msgspec.Struct, frozen=True):
    type: str
    object: _Object


async def work(options: argparse.Namespace, journal: Journal) -> None:
    """Start every job that comes, one after the other, and leave it at that."""
    del journal
    namespace = options.namespace
    async with (
        Client(configuration(options), user_agent="bench-bare") as client,
        aiohttp.ClientSession() as service,
    ):
        # Events are no part of the way to the pod; without `run` they stay where they are.
        writer = JobWriter(client, EventRecorder(client, controller="bench", instance="bare"), namespace)
        async with client.watch(QISKIT_JOBS, namespace, timeout_seconds=3600, allow_bookmarks=False) as lines:
            say("ready")
            async for line in lines:
                event = msgspec.json.decode(line, type=_Event)
                if event.type != "ADDED":
                    continue
                request = ValidateRequest(code=event.object.spec.circuit.code)
                async with service.post(
                    f"{options.validation_url}/validate",
                    data=msgspec.json.encode(request),
                    headers={"Content-Type": "application/json"},
                ) as answer:
                    answer.raise_for_status()
                    await answer.read()
                await writer.begin(event.object.metadata.name, event.object.metadata.uid)


if __name__ == "__main__":
    run(work)
