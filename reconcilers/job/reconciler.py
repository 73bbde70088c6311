"""The job reconciler: looks at the world, asks for a decision, carries it out, and looks again.

A pass begins from the caches and this process's own latest writes, and could be the first one ever. Each step
makes at most one write. Every status patch carries the resource version that it was decided on: a conflict
abandons the pass, and nothing is sent again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType

from msgspec.structs import replace

from api.names import API_VERSION
from api.phases import is_terminal
from api.seal import Seal
from api.views import QiskitBackend, QiskitJob, QiskitJobStatus
from backends import Backend, ProviderUnavailable
from backends.aer.warm import is_free
from informers import Key, key_of
from kube import (
    QISKIT_JOBS,
    ApiError,
    Client,
    NotFound,
    ObjectReference,
    PartialObject,
    Pod,
    struct_patch,
)
from kube import Conflict as KubeConflict
from reconcilers.isolation import Isolation
from reconcilers.job.collaborators import Cache, Recorder
from reconcilers.job.decisions import Event, Record, Rest
from reconcilers.job.departed import Departed
from reconcilers.job.effects import Effects
from reconcilers.job.errands import Errands
from reconcilers.job.indexes import BY_JOB, BY_OWNER, BY_UID, lean
from reconcilers.job.machine import decide
from reconcilers.job.places import Places
from reconcilers.job.receipts import is_result_of
from reconcilers.job.settings import JobSettings
from reconcilers.job.slots import Slots
from reconcilers.job.sources import Examiner
from reconcilers.job.submitted import Submitted
from reconcilers.job.world import Examination, World, is_examined, is_open
from reconcilers.recent import Recent
from reconcilers.result import DONE, Conflict, Result, Retryable, Terminal

STEPS_A_PASS = 32
"""More steps than the longest pass has; a decision that never comes to rest must not spin."""


@dataclass(slots=True)
class JobReconciler:
    """Reconciles QiskitJobs; an async context manager around what it has under way beside its passes.

    The informers are made with `indexes` (JOB_INDEXERS, POD_INDEXERS, RESULT_INDEXERS, and `lean` as the jobs'
    transform). `registry` has a backend for each `spec.backend.type`. `seal` tells results from forgeries.
    `now` is wall time in seconds since 1970. `wake` puts a job's key back into the queue.
    """

    client: Client
    jobs: Cache[QiskitJob]
    backends: Cache[QiskitBackend]
    pods: Cache[Pod]
    results: Cache[PartialObject]
    examiner: Examiner
    registry: Mapping[str, Backend]
    isolation: Isolation
    recorder: Recorder
    settings: JobSettings
    seal: Seal
    now: Callable[[], float]
    wake: Callable[[Key], None]
    errands: Errands[Examination] = field(default_factory=Errands)
    recent: Recent[QiskitJob] = field(init=False)
    places: Places = field(init=False)
    slots: Slots = field(init=False)
    _uids: dict[Key, str] = field(default_factory=dict)
    _submitted: Submitted = field(default_factory=Submitted)
    _departed: Departed = field(default_factory=Departed)
    _effects: Effects = field(init=False)
    _exits: AsyncExitStack = field(default_factory=AsyncExitStack)

    def __post_init__(self) -> None:
        self.recent = Recent(self.jobs)
        self.places = Places(self.jobs, self.recent, self.backends, self.settings)
        self.slots = Slots(self.pods, self.settings)
        self._effects = Effects(
            client=self.client,
            jobs=self.jobs,
            examiner=self.examiner,
            registry=self.registry,
            isolation=self.isolation,
            settings=self.settings,
            seal=self.seal,
            errands=self.errands,
            places=self.places,
            slots=self.slots,
            submitted=self._submitted,
            now=self.now,
            wake=self.wake,
        )

    async def __aenter__(self) -> JobReconciler:
        await self._exits.enter_async_context(self.errands)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._exits.__aexit__(kind, error, traceback)

    async def reconcile(self, key: Key) -> Result:
        """Bring a job one pass further.

        Raises:
            Conflict: if the job changed under the pass.
            Retryable: if the API server or a provider cannot be asked now.
        """
        job = self.recent.get(key)
        known = self._uids.get(key)
        if known is not None and (job is None or job.metadata.uid != known):
            self._forget(key, known)
        if job is None:
            return DONE
        self._uids[key] = job.metadata.uid
        try:
            return await self._pass(job)
        except KubeConflict as error:
            raise Conflict(str(error)) from error
        except ProviderUnavailable as error:
            raise Retryable(str(error), after=error.retry_after) from error
        except ApiError as error:
            raise Retryable(f"the API server: {error}", after=error.retry_after) from error
        finally:
            self._settle(job.metadata.uid)

    def pod_deleted(self, pod: Pod) -> None:
        """A pod that a QiskitJob controls was deleted, and was last like this."""
        controller = pod.metadata.controller
        if controller is not None:
            self._departed.note(pod, self.recent.get(Key(pod.metadata.namespace, controller.name)))

    async def _pass(self, job: QiskitJob) -> Result:
        world = self._look(World(now=self.now(), job=job))
        for _ in range(STEPS_A_PASS):
            step = decide(world, self.settings)
            if isinstance(step, Rest):
                return Result(after=step.after)
            if isinstance(step, Record):
                carried_out = await self._record(world, step)
            else:
                carried_out = await self._effects.carry_out(world, step)
            if carried_out is None:
                return DONE
            world = self._look(carried_out)
        raise Terminal(f"job {key_of(job)} did not come to rest within {STEPS_A_PASS} steps; last was {step}")

    def _look(self, world: World) -> World:
        """The world as the caches show it now, with what this pass has learnt."""
        job = world.job
        newest = self.recent.get(key_of(job))
        if newest is None or newest.metadata.uid != job.metadata.uid:
            raise Conflict("the job was deleted under this pass")
        metadata, status = newest.metadata, newest.status
        # Whose a pod is its controller's UID says; a label may be anybody's (G41).
        pods = tuple(self.pods.by_index(BY_OWNER, metadata.uid))
        handle, since = self._submitted.awaited(newest, pods)
        recorded = self.pods.by_index(BY_UID, status.job_id) if status.job_id else []
        slots = [pod for pod in recorded if not _is_controlled(pod, newest)]
        name = newest.spec.backend.name
        backend = self.backends.get(metadata.namespace, name) if name is not None else None
        stored = (
            found
            for found in self.results.by_index(BY_JOB, metadata.uid)
            if is_result_of(found, newest, self.seal)
        )
        return replace(
            world,
            now=self.now(),
            job=newest,
            pods=pods,
            slot_pod=next((pod for pod in slots if is_free(pod)), None),
            slot_taken=bool(slots) and not any(map(is_free, slots)),
            handle=handle,
            handle_since=since,
            departed=self._departed.last(newest),
            result=next(stored, None) or world.result,
            backend=backend or world.backend,
        )

    async def _record(self, world: World, step: Record) -> World | None:
        job = world.job
        patch = status_patch(job.status, step.status)
        key = key_of(job)
        if patch:
            patch["metadata"] = {"resourceVersion": job.metadata.resource_version}
            self.places.doubt(job)
            try:
                written: QiskitJob = await self.client.merge_patch(
                    QISKIT_JOBS, key.name, patch, key.namespace, subresource="status", type=QiskitJob
                )
            except NotFound:
                self._forget(key, job.metadata.uid)
                return None
            except KubeConflict:
                self.recent.forget(key)
                raise
            job = lean(written)
            self.recent.wrote(job)
            self.places.wrote(job)
            self._emit(job, step.events)
        if is_examined(job) or is_terminal(job.status.phase) or job.spec.suspend:
            self.errands.discard(job.metadata.uid)
        # What this step was for is done; the next attempt has to look for itself.
        return World(
            now=world.now,
            job=job,
            backend=world.backend,
            place=world.place,
            slots_tried=world.slots_tried,
            obstacle=world.obstacle if is_open(job) else None,
        )

    def _emit(self, job: QiskitJob, events: tuple[Event, ...]) -> None:
        about = ObjectReference(
            api_version=API_VERSION,
            kind="QiskitJob",
            namespace=job.metadata.namespace,
            name=job.metadata.name,
            uid=job.metadata.uid,
        )
        for event in events:
            self.recorder.emit(about, event.type, event.reason, event.message)

    def _settle(self, job_uid: str) -> None:
        """The pass is over: what it was promised and did not take is free again."""
        self.places.settle(job_uid)
        if job_uid not in self._submitted:
            self.slots.release(job_uid)

    def _forget(self, key: Key, uid: str) -> None:
        """The job of this UID is gone."""
        self._uids.pop(key, None)
        self._submitted.forget(uid)
        self._departed.forget(uid)
        self.errands.discard(uid)
        self.recent.forget(key)
        self._settle(uid)


def _is_controlled(pod: Pod, job: QiskitJob) -> bool:
    controller = pod.metadata.controller
    return controller is not None and controller.uid == job.metadata.uid


def status_patch(old: QiskitJobStatus, new: QiskitJobStatus) -> dict[str, object]:
    """The merge patch from one status to another; empty if nothing changes."""
    difference = struct_patch(old, new)
    return {"status": difference} if difference else {}
