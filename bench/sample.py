"""The object of the engine's benchmarks: small, so that the engine is measured and not a schema.

One sample asks for one ConfigMap of its name and for `status.phase: Done`: two writes, the least that any
controller of anything makes.
"""

from __future__ import annotations

from typing import Any

import msgspec

from api.meta import ObjectMeta
from kube import Resource

SAMPLES = Resource("bench.quantum.io", "v1", "samples", "Sample")

SAMPLE_DEFINITION: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "samples.bench.quantum.io"},
    "spec": {
        "group": SAMPLES.group,
        "scope": "Namespaced",
        "names": {"plural": "samples", "singular": "sample", "kind": "Sample"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {"shots": {"type": "integer"}, "code": {"type": "string"}},
                            },
                            "status": {
                                "type": "object",
                                # kopf keeps its own notes in status where it may.
                                "x-kubernetes-preserve-unknown-fields": True,
                                "properties": {"phase": {"type": "string"}},
                            },
                        },
                    }
                },
            }
        ],
    },
}


class SampleSpec(msgspec.Struct, frozen=True, gc=False):
    """What a contender is asked for."""

    shots: int = 0


class SampleStatus(msgspec.Struct, frozen=True, gc=False):
    """How far it is: nothing, or Done."""

    phase: str = ""


class Sample(msgspec.Struct, frozen=True):
    """A sample as a cache holds it."""

    metadata: ObjectMeta
    spec: SampleSpec = SampleSpec()
    status: SampleStatus = SampleStatus()


LABELS = {"app.kubernetes.io/managed-by": "bench"}
"""On every ConfigMap, so that contenders watch their own and nothing else."""

SELECTOR = ",".join(f"{name}={value}" for name, value in LABELS.items())


def child(name: str, uid: str) -> dict[str, Any]:
    """The ConfigMap that a sample asks for."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "labels": LABELS,
            "ownerReferences": [
                {
                    "apiVersion": SAMPLES.api_version,
                    "kind": SAMPLES.kind,
                    "name": name,
                    "uid": uid,
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "data": {"results.json": '{"counts": {"00": 512, "11": 512}}'},
    }


DONE_PATCH: dict[str, Any] = {"status": {"phase": "Done"}}
