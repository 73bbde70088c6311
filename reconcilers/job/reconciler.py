"""The job reconciler: looks at the world, asks for a decision, carries it out, and looks again.

A pass begins from the caches and this process's own latest writes, and could be the first one ever. Each step
makes at most one write. Every status patch carries the resource version that it was decided on: a conflict
abandons the pass, and nothing is sent again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType

from msgspec.structs import replace

from api.names import API_VERSION
from api.phases import is_terminal
from api.seal import Seal
from api.views import QiskitBackend, QiskitBackendSpec, QiskitJob, QiskitJobStatus
from backends import Backend, Handle, NoSuchExecution, ProviderUnavailable, Refused, SlotGone, State
from backends.aer.observation import attempt_number
from backends.aer.warm import is_free
from informers import Key, key_of
from kube import (
    QISKIT_BACKENDS,
    QISKIT_JOBS,
    ApiError,
    Client,
    Invalid,
    NotFound,
    ObjectReference,
    PartialObject,
    Pod,
    struct_patch,
)
from kube import Conflict as KubeConflict
from reconcilers.isolation import Isolation
from reconcilers.job.collaborators import Cache, Recorder
from reconcilers.job.decisions import (
    CheckOutput,
    Decision,
    DeleteJob,
    Event,
    Examine,
    FindBackend,
    FindExecution,
    FindResult,
    FindState,
    Record,
    Rest,
    Stop,
    Submit,
    TakePlace,
    TryLater,
)
from reconcilers.job.errands import Errands
from reconcilers.job.indexes import BY_JOB, BY_OWNER, BY_UID, lean
from reconcilers.job.machine import decide
from reconcilers.job.outputs import check_output, find_result
from reconcilers.job.places import Places
from reconcilers.job.receipts import is_result_of
from reconcilers.job.settings import JobSettings
from reconcilers.job.slots import Slots, slot_of
from reconcilers.job.sources import Examiner
from reconcilers.job.submissions import submission_of
from reconcilers.job.world import (
    Admitted,
    Examination,
    Queued,
    Underway,
    World,
    attempt_of,
    is_examined,
    is_open,
)
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
    _submitted: dict[str, tuple[Handle, float]] = field(default_factory=dict)
    _exits: AsyncExitStack = field(default_factory=AsyncExitStack)

    def __post_init__(self) -> None:
        self.recent = Recent(self.jobs)
        self.places = Places(self.jobs, self.recent, self.backends, self.settings)
        self.slots = Slots(self.pods, self.settings)

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

    async def _pass(self, job: QiskitJob) -> Result:
        world = self._look(World(now=self.now(), job=job))
        for _ in range(STEPS_A_PASS):
            step = decide(world, self.settings)
            if isinstance(step, Rest):
                return Result(after=step.after)
            carried_out = await self._carry_out(world, step)
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
        handle, since = self._awaited(newest, pods)
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
            result=next(stored, None) or world.result,
            backend=backend or world.backend,
        )

    def _awaited(self, job: QiskitJob, pods: tuple[Pod, ...]) -> tuple[Handle | None, float]:
        """What was submitted, until it is recorded and in the cache."""
        uid = job.metadata.uid
        submitted = self._submitted.get(uid)
        if submitted is None:
            return None, 0.0
        handle, since = submitted
        seen = any(pod.metadata.uid == handle.id for pod in pods) and job.status.job_id == handle.id
        if seen or handle.attempt.number != job.status.attempt or is_terminal(job.status.phase):
            del self._submitted[uid]
            return None, 0.0
        return handle, since

    async def _carry_out(self, world: World, step: Decision) -> World | None:
        """The world after a step; None when the job is no more."""
        match step:
            case Record():
                return await self._record(world, step)
            case Examine():
                return await self._examine_and_check(world)
            case CheckOutput():
                return replace(world, output=await check_output(self.client, world.job, self.seal))
            case TakePlace():
                return self._take_place(world)
            case Submit():
                return await self._submit(world)
            case FindExecution():
                return await self._find_execution(world)
            case FindState():
                return await self._find_state(world)
            case FindResult():
                found = await find_result(self.client, world.job, self.seal)
                return replace(world, result=found, result_absent=found is None)
            case FindBackend():
                return await self._find_backend(world)
            case Stop(pod):
                await self._stop(world.job, pod)
                return replace(world, stopped=world.stopped | {pod.metadata.uid})
            case DeleteJob():
                await self._delete(world.job)
                return None
            case TryLater(message, after):
                raise Retryable(message, after=after)
            case Rest():
                raise AssertionError("a rest is not carried out")

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

    async def _examine_and_check(self, world: World) -> World:
        """Examine the circuit, and see meanwhile where its result is to go: a good circuit's next step."""
        try:
            async with asyncio.TaskGroup() as group:
                output = group.create_task(check_output(self.client, world.job, self.seal))
                examination = await self._examine(world)
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return replace(world, examination=examination, output=output.result())

    async def _examine(self, world: World) -> Examination:
        job, execution = world.job, world.job.spec.execution
        defaults = world.backend.spec if world.backend is not None else QiskitBackendSpec()
        method = execution.method
        if method == "automatic" and defaults.method is not None:
            method = defaults.method
        noise = execution.noise_model is not None or defaults.noise_model is not None
        key, uid = key_of(job), job.metadata.uid
        examination = await self.errands.outcome(
            uid,
            lambda: self.examiner.examine(job, method, noise=noise),
            wait=self.settings.validating_after,
            done=lambda: self.wake(key),
        )
        if examination is None:
            return Underway()
        self.errands.discard(uid)
        return examination

    def _take_place(self, world: World) -> World:
        job = world.job
        position = self.places.ask(job)
        if position > 0:
            return replace(world, place=Queued(position))
        return replace(world, place=Admitted(self.slots.promise(world)))

    def _settle(self, job_uid: str) -> None:
        """The pass is over: what it was promised and did not take is free again."""
        self.places.settle(job_uid)
        if job_uid not in self._submitted:
            self.slots.release(job_uid)

    async def _submit(self, world: World) -> World:
        job = world.job
        backend = self._backend(job)
        slot = slot_of(world.slot_pod) if world.slot_pod is not None else world.unclaimed
        try:
            await self.isolation.ensure(job, self.jobs)
            handle = await backend.submit(submission_of(job, world.backend, self.settings, slot=slot))
        except Refused as refused:
            return replace(world, refusal=(refused.reason, refused.message))
        except SlotGone:
            tried = world.slots_tried | {slot.id} if slot is not None else world.slots_tried
            return replace(world, slot_gone=True, place=None, slots_tried=tried)
        except (ProviderUnavailable, ApiError) as error:
            return replace(world, obstacle=(str(error), error.retry_after))
        self._submitted[job.metadata.uid] = (handle, self.now())
        return world

    async def _find_execution(self, world: World) -> World:
        attempt = attempt_of(world.job)
        handle = await self._backend(world.job).find(attempt)
        if handle is None:
            # Nor is the warm pod there that came with the place.
            return replace(world, pod_absent=True, place=None)
        # It is there, and the cache will show it.
        self._submitted[world.job.metadata.uid] = (handle, self.now())
        return world

    async def _find_state(self, world: World) -> World:
        pod = world.current_pod
        assert pod is not None, "only a pod that is seen is waited for"
        handle = Handle(attempt=attempt_of(world.job), id=pod.metadata.uid, name=pod.metadata.name)
        try:
            status = await self._backend(world.job).status(handle)
        except NoSuchExecution:
            # It was deleted, and the cache will show it.
            return replace(world, state=State.CANCELLED)
        return replace(world, state=status.state)

    async def _find_backend(self, world: World) -> World:
        name = world.job.spec.backend.name or ""
        try:
            backend = await self.client.get(
                QISKIT_BACKENDS, name, world.job.metadata.namespace, type=QiskitBackend
            )
        except (NotFound, Invalid):  # the spec takes text that is no object's name, such as ".."
            return replace(world, backend_absent=True)
        if backend.metadata.name != name:  # "pool/status" is read as a part of pool
            return replace(world, backend_absent=True)
        return replace(world, backend=backend)

    async def _stop(self, job: QiskitJob, pod: Pod) -> None:
        attempt = attempt_of(job, attempt_number(pod))
        handle = Handle(attempt=attempt, id=pod.metadata.uid, name=pod.metadata.name)
        await self._backend(job).cancel(handle)

    async def _delete(self, job: QiskitJob) -> None:
        """Delete a job whose time to live is over; pods and results go with it."""
        try:
            await self.client.delete(
                QISKIT_JOBS,
                job.metadata.name,
                job.metadata.namespace,
                uid=job.metadata.uid,
                resource_version=job.metadata.resource_version,
                propagation_policy="Background",
            )
        except NotFound:
            return

    def _backend(self, job: QiskitJob) -> Backend:
        backend = self.registry.get(job.spec.backend.type)
        if backend is None:
            raise Terminal(f"no backend runs type {job.spec.backend.type}")
        return backend

    def _forget(self, key: Key, uid: str) -> None:
        """The job of this UID is gone."""
        self._uids.pop(key, None)
        self._submitted.pop(uid, None)
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
