"""What a step of a job does, but for its record: each asks or changes one thing, and says what it learnt.

Nothing is decided here. What an effect learns goes into the world that the next decision is made on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from msgspec.structs import replace

from api.seal import Seal
from api.views import QiskitBackend, QiskitBackendSpec, QiskitJob
from backends import Backend, Handle, NoSuchExecution, ProviderUnavailable, Refused, SlotGone, State
from backends.aer.observation import attempt_number
from informers import Key, key_of
from kube import QISKIT_BACKENDS, QISKIT_JOBS, ApiError, Client, Invalid, NotFound, Pod
from reconcilers.isolation import Isolation
from reconcilers.job.collaborators import Cache
from reconcilers.job.decisions import (
    CheckOutput,
    DeleteJob,
    Effect,
    Examine,
    FindBackend,
    FindExecution,
    FindResult,
    FindState,
    Stop,
    Submit,
    TakePlace,
    TryLater,
)
from reconcilers.job.errands import Errands
from reconcilers.job.outputs import check_output, find_result
from reconcilers.job.places import Places
from reconcilers.job.settings import JobSettings
from reconcilers.job.slots import Slots, slot_of
from reconcilers.job.sources import Examiner
from reconcilers.job.submissions import submission_of
from reconcilers.job.submitted import Submitted
from reconcilers.job.world import Admitted, Examination, Queued, Underway, World, attempt_of
from reconcilers.result import Retryable, Terminal


@dataclass(frozen=True, slots=True)
class Effects:
    """The collaborators of a JobReconciler as its steps use them; see there."""

    client: Client
    jobs: Cache[QiskitJob]
    examiner: Examiner
    registry: Mapping[str, Backend]
    isolation: Isolation
    settings: JobSettings
    seal: Seal
    errands: Errands[Examination]
    places: Places
    slots: Slots
    submitted: Submitted
    now: Callable[[], float]
    wake: Callable[[Key], None]

    async def carry_out(self, world: World, step: Effect) -> World | None:
        """The world after a step; None when the job is no more.

        Raises:
            Retryable: if the step is to wait.
            ApiError, ProviderUnavailable: if it could not be done now.
        """
        match step:
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
        self.submitted.note(job.metadata.uid, handle, self.now())
        return world

    async def _find_execution(self, world: World) -> World:
        attempt = attempt_of(world.job)
        handle = await self._backend(world.job).find(attempt)
        if handle is None:
            # Nor is the warm pod there that came with the place.
            return replace(world, pod_absent=True, place=None)
        # It is there, and the cache will show it.
        self.submitted.note(world.job.metadata.uid, handle, self.now())
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
