"""The caches of the process: which collections are followed, and what of each object is kept.

Every replica follows all of them: the leader reconciles from them, and every gateway answers from them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import msgspec

from api.meta import ObjectMeta
from api.names import LABEL_JOB_UID, LABEL_MANAGED_BY, LABEL_ROLE, MANAGED_BY, ROLE_RESULT
from api.views import QiskitBackend, QiskitJob
from controller.metrics import InformerAdapter, Metrics
from informers import Informer, KubernetesObject, MultiNamespaceInformer
from informers.store import Indexer
from kube import CONFIG_MAPS, PODS, QISKIT_BACKENDS, QISKIT_JOBS, Client, PartialObject, Pod, Resource

T = TypeVar("T", bound=KubernetesObject)

CODE_KEPT = 16 << 10
"""Characters of inline code that are cached until the job has been validated; longer code is read live."""

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""Annotation of client-side `kubectl apply`: a second copy of the whole object, code included."""

INDEX_UID = "uid"
INDEX_JOB_UID = "job-uid"


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

    ours = f"{LABEL_MANAGED_BY}={MANAGED_BY}"
    return Caches(
        jobs=informer(
            "qiskitjobs", QISKIT_JOBS, QiskitJob, transform=slim_job, indexers={INDEX_UID: _by_uid}
        ),
        backends=informer("qiskitbackends", QISKIT_BACKENDS, QiskitBackend, transform=slim_backend),
        pods=informer("pods", PODS, Pod, label_selector=ours, indexers={INDEX_JOB_UID: _by_job_uid}),
        results=informer(
            "results",
            CONFIG_MAPS,
            PartialObject,
            label_selector=f"{ours},{LABEL_ROLE}={ROLE_RESULT}",
            metadata_only=True,
            indexers={INDEX_JOB_UID: _by_job_uid},
        ),
    )


def slim_job(job: QiskitJob) -> QiskitJob:
    """The job without what is not read from a cache: code that is long or already validated."""
    metadata = _slim(job.metadata)
    code = job.spec.circuit.code
    validated = job.status.source is not None and job.status.source.hash is not None
    if code is not None and (validated or len(code) > CODE_KEPT):
        circuit = msgspec.structs.replace(job.spec.circuit, code=None)
        spec = msgspec.structs.replace(job.spec, circuit=circuit)
        return msgspec.structs.replace(job, metadata=metadata, spec=spec)
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


def _by_uid(job: QiskitJob) -> tuple[str, ...]:
    return (job.metadata.uid,)


def _by_job_uid(child: Pod | PartialObject) -> tuple[str, ...]:
    uid = child.metadata.labels.get(LABEL_JOB_UID)
    return (uid,) if uid else ()
