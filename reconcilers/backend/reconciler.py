"""The backend reconciler: keeps the warm pool at its size and the status true."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from api.reasons import Reason
from api.views import QiskitBackend, QiskitBackendStatus
from api.views import Resources as ResourcesView
from backends import Owner, ProviderUnavailable, Refused, Resources
from backends.aer.pool import WarmPods
from informers import Expectations, Key, key_of
from informers.timing import Clock, loop_clock
from kube import QISKIT_BACKENDS, ApiError, Client, NotFound, Pod, merge_patch_between
from kube import Conflict as KubeConflict
from reconcilers.backend.cooling import Cooling
from reconcilers.backend.pool import Pool, change, sort
from reconcilers.backend.refill import Refill
from reconcilers.backend.statuses import pool_size, status_of
from reconcilers.backend.trouble import silent_at, trouble
from reconcilers.isolation import Isolation
from reconcilers.job.failures import says_the_same
from reconcilers.job.indexes import BY_OWNER
from reconcilers.job.machine import ORPHANED
from reconcilers.job.places import Places
from reconcilers.job.running import SHOWN_AFTER
from reconcilers.job.settings import JobSettings
from reconcilers.job.sizing import size
from reconcilers.recent import Recent
from reconcilers.result import DONE, Conflict, Result, Retryable

COUNTS_EVERY = 2.0
"""Least seconds between two writes that only say how many jobs run and wait: these change with every job."""

_COUNTS = frozenset({"running", "queued"})
_COUNTS_OF_A_POOL = _COUNTS | {"warm", "conditions"}


class Backends(Protocol):
    """The cached backends."""

    def get(self, namespace: str | None, name: str) -> QiskitBackend | None: ...
    def version_for(self, namespace: str | None) -> str: ...


class Pods(Protocol):
    """The cached pods, with the indexes of `reconcilers.job.POD_INDEXERS`."""

    def by_index(self, index: str, value: str) -> Sequence[Pod]: ...


@dataclass(slots=True)
class _Memory:
    """What is remembered of one backend between passes: nothing that a new process would miss. `template` is what
    its pods were made from."""

    uid: str
    template: str = ""
    cooling: Cooling = field(default_factory=Cooling)
    refill: Refill = field(default_factory=Refill)
    counted: float = -COUNTS_EVERY
    refused: tuple[str, str] | None = None
    """Why the last pod was refused (reason, message), until one is made: passes in between try none, and must not
    say that all is well."""
    unanswered: float | None = None
    """Since when the cluster does not do what the pool needs, for a reason that may pass by itself."""

    def hindered(self, why: str, now: float) -> None:
        """Take note of such a failure. It is shown if it lasts, and not anew while its cause is the same."""
        if self.unanswered is None:
            self.unanswered = now
        said = (str(Reason.PROVIDER_UNAVAILABLE), f"pods of the pool cannot be started or ended yet: {why}")
        if (
            self.refused is not None
            and self.refused[0] == said[0]
            and says_the_same(self.refused[1], said[1])
        ):
            return
        if now >= self.unanswered + SHOWN_AFTER:
            self.refused = said

    def done(self) -> None:
        """Nothing is in the pool's way."""
        self.refused = self.unanswered = None


@dataclass(slots=True)
class BackendReconciler:
    """Reconciles QiskitBackends. `places` is the job reconciler's; `now` is wall time in seconds since 1970;
    `token` gives a short random text for a pod's name."""

    client: Client
    backends: Backends
    pods: Pods
    warm_pods: WarmPods
    places: Places
    isolation: Isolation
    settings: JobSettings
    now: Callable[[], float]
    token: Callable[[], str]
    clock: Clock = loop_clock
    expectations: Expectations = field(default_factory=Expectations)
    recent: Recent[QiskitBackend] = field(init=False)
    _memories: dict[Key, _Memory] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.recent = Recent(self.backends)

    async def reconcile(self, key: Key) -> Result:
        """Bring a backend's pool and status up to date.

        Raises:
            Conflict: if the backend changed under the pass.
            Retryable: if the API server cannot be asked now.
        """
        backend = self.recent.get(key)
        if backend is None:
            # Its pods go with it, by their owner reference.
            self.expectations.forget(key)
            self.recent.forget(key)
            self._memories.pop(key, None)
            return DONE
        if backend.metadata.deletion_timestamp is not None and ORPHANED in backend.metadata.finalizers:
            return DONE  # its pods are to stay
        try:
            return await self._pass(key, backend)
        except KubeConflict as error:
            self.recent.forget(key)
            raise Conflict(str(error)) from error
        except ProviderUnavailable as error:
            raise Retryable(str(error), after=error.retry_after) from error
        except ApiError as error:
            raise Retryable(f"the API server: {error}", after=error.retry_after) from error

    async def _pass(self, key: Key, backend: QiskitBackend) -> Result:
        image = backend.spec.image or self.settings.executor_image
        resources = size(backend.spec.resources, ResourcesView(), None)
        template = self.warm_pods.digest(image, resources)
        pool = sort(self.pods.by_index(BY_OWNER, backend.metadata.uid), template)
        memory = self._memory_of(key, backend.metadata.uid, template)
        cooling = memory.cooling
        cooling.observe((pod.metadata.uid for pod in pool.broken), len(pool.ready), self.clock())
        wait = None
        failure: ProviderUnavailable | ApiError | None = None
        if self.expectations.satisfied(key):
            try:
                wait = await self._adjust(key, backend, pool, memory, image, resources)
            except Refused as refused:
                cooling.fail(self.clock())
                wait, memory.refused = cooling.remaining(self.clock()), (refused.reason, refused.message)
            except (ProviderUnavailable, ApiError) as error:
                failure = error
                memory.hindered(str(error), self.clock())
        problem = memory.refused or trouble(pool, self.now())
        counts_wait = await self._write_status(key, backend, pool, memory, problem)
        if failure is not None:
            raise failure
        silence = silent_at(pool)
        silence_wait = silence - self.now() if silence is not None and silence > self.now() else None
        given_up = self.expectations.expires_in(key)
        waits = [seconds for seconds in (wait, counts_wait, silence_wait, given_up) if seconds is not None]
        return Result(after=min(waits)) if waits else DONE

    def _memory_of(self, key: Key, uid: str, template: str) -> _Memory:
        memory = self._memories.get(key)
        if memory is None or memory.uid != uid:
            # A predecessor of the same name takes with it what was still expected of its pods.
            self.expectations.forget(key)
            memory = self._memories[key] = _Memory(uid)
        if memory.template != template:
            # What went wrong was said of other pods: whoever has corrected their spec need not wait.
            memory.template, memory.cooling = template, Cooling()
            memory.done()
        return memory

    async def _adjust(
        self,
        key: Key,
        backend: QiskitBackend,
        pool: Pool,
        memory: _Memory,
        image: str,
        resources: Resources,
    ) -> float | None:
        """End and start pods; the seconds after which there may be more to do."""
        to_do = change(pool, pool_size(backend))
        for pod in to_do.end:
            self.expectations.expect_deletions(key, (pod.metadata.uid,))
            leaving = False
            try:
                leaving = await self.warm_pods.remove(pod)
            finally:
                if not leaving:
                    self.expectations.deletion_observed(key, pod.metadata.uid)
        now = self.clock()
        patience = memory.refill.wait(missing=to_do.start > 0, ready=len(pool.ready), now=now)
        if not to_do.start:
            memory.done()
            return None
        remaining = max(memory.cooling.remaining(now), patience)
        if remaining > 0:
            return remaining
        await self.isolation.ensure(backend, self.backends)
        owner = Owner(namespace=key.namespace, name=key.name, uid=backend.metadata.uid)
        for _ in range(to_do.start):
            self.expectations.expect_creations(key, 1)
            made = False
            try:
                await self.warm_pods.create(owner, image, resources, self.token())
                made = True
            finally:
                if not made:
                    # If it was made all the same, the pool has one too many for a moment.
                    self.expectations.creation_observed(key)
        memory.done()
        return None

    async def _write_status(
        self,
        key: Key,
        backend: QiskitBackend,
        pool: Pool,
        memory: _Memory,
        problem: tuple[str, str] | None,
    ) -> float | None:
        """Write what differs; the seconds after which counts that were left unsaid are due."""
        running, queued = self.places.counts(f"{key.namespace}/{key.name}")
        status = status_of(backend, pool, running=running, queued=queued, trouble=problem, now=self.now())
        patch = merge_patch_between(_plain(backend.status), _plain(status))
        if not patch:
            return None
        due = 0.0
        if patch.keys() <= _COUNTS:
            due = memory.counted + COUNTS_EVERY - self.clock()
        elif patch.keys() <= _COUNTS_OF_A_POOL:
            due = memory.refill.patience(self.clock())
        if due > 0:
            return due
        body = {"metadata": {"resourceVersion": backend.metadata.resource_version}, "status": patch}
        try:
            written = await self.client.merge_patch(
                QISKIT_BACKENDS, key.name, body, key.namespace, subresource="status", type=QiskitBackend
            )
        except NotFound:
            return None
        self.recent.wrote(written)
        memory.counted = self.clock()
        return None


def _plain(status: QiskitBackendStatus) -> dict[str, object]:
    if not status.observed_generation:
        return {}  # never written: then zeros are news, too
    plain: dict[str, object] = msgspec.to_builtins(status)
    counts = {"warm": status.warm, "running": status.running, "queued": status.queued}
    return {"ready": status.ready, **counts, **plain}


def key_of_backend(pod: Pod) -> Key | None:
    """The backend whose pool a pod is in."""
    controller = pod.metadata.controller
    if controller is None or controller.kind != "QiskitBackend":
        return None
    return Key(key_of(pod).namespace, controller.name)
