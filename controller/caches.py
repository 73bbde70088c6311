"""The caches of the process: which collections are followed, and what of each object is kept.

Every replica follows all of them: the leader reconciles from them, and every gateway answers from them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import msgspec

from api.meta import ObjectMeta
from api.views import QiskitBackend, QiskitJob
from controller.metric_adapters import InformerAdapter
from controller.metrics import Metrics
from informers import Informer, KubernetesObject, MultiNamespaceInformer
from informers.store import Indexer
from kube import CONFIG_MAPS, PODS, QISKIT_BACKENDS, QISKIT_JOBS, Client, PartialObject, Pod, Resource
from reconcilers.job import (
    JOB_INDEXERS,
    POD_INDEXERS,
    POD_SELECTOR,
    RESULT_INDEXERS,
    RESULT_SELECTOR,
    lean,
)

T = TypeVar("T", bound=KubernetesObject)

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""Annotation of client-side `kubectl apply`: a second copy of the whole object, code included."""


@dataclass(frozen=True, slots=True)
class Caches:
    """The four informers, by what they hold."""

    jobs: Informer[QiskitJob]
    backends: Informer[QiskitBackend]
    pods: Informer[Pod]
    results: Informer[PartialObject]

    def named(self) -> dict[str, Informer[Any]]:
        """Every informer by its name in logs and metrics."""
        return {
            "qiskitjobs": self.jobs,
            "qiskitbackends": self.backends,
            "pods": self.pods,
            "results": self.results,
        }


def follow(client: Client, namespaces: Sequence[str], metrics: Metrics) -> Caches:
    """Make the caches, in all namespaces if none is named. Nothing is asked before they are run."""

    def informer(
        name: str,
        resource: Resource,
        kind: type[T],
        *,
        label_selector: str | None = None,
        metadata_only: bool = False,
        transform: Callable[[T], T] | None = None,
        indexers: Mapping[str, Indexer[T]] | None = None,
    ) -> Informer[T]:
        adapter = InformerAdapter(metrics, name)

        def one(namespace: str | None) -> Informer[T]:
            return Informer(
                client,
                resource,
                kind,
                namespace=namespace,
                label_selector=label_selector,
                metadata_only=metadata_only,
                transform=transform,
                indexers=indexers,
                metrics=adapter,
            )

        if len(namespaces) > 1:
            # The same reading interface; its users name the simpler class.
            return cast("Informer[T]", MultiNamespaceInformer(namespaces, one))
        return one(namespaces[0] if namespaces else None)

    return Caches(
        jobs=informer("qiskitjobs", QISKIT_JOBS, QiskitJob, transform=slim_job, indexers=JOB_INDEXERS),
        backends=informer("qiskitbackends", QISKIT_BACKENDS, QiskitBackend, transform=slim_backend),
        pods=informer("pods", PODS, Pod, label_selector=POD_SELECTOR, indexers=POD_INDEXERS),
        results=informer(
            "results",
            CONFIG_MAPS,
            PartialObject,
            label_selector=RESULT_SELECTOR,
            metadata_only=True,
            indexers=RESULT_INDEXERS,
        ),
    )


def slim_job(job: QiskitJob) -> QiskitJob:
    """The job without what is not read from a cache: code that is long or already validated, kubectl's copy."""
    job = lean(job)
    metadata = _slim(job.metadata)
    return job if metadata is job.metadata else msgspec.structs.replace(job, metadata=metadata)


def slim_backend(backend: QiskitBackend) -> QiskitBackend:
    """The backend without kubectl's copy of it."""
    metadata = _slim(backend.metadata)
    return backend if metadata is backend.metadata else msgspec.structs.replace(backend, metadata=metadata)


def _slim(metadata: ObjectMeta) -> ObjectMeta:
    if LAST_APPLIED not in metadata.annotations:
        return metadata
    kept = {name: value for name, value in metadata.annotations.items() if name != LAST_APPLIED}
    return msgspec.structs.replace(metadata, annotations=kept)
