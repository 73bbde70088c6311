"""A node that runs nothing and is never slow: it says of pods what a kubelet would say.

What an executor would have handed in it stores through the gateway's own code, so that only an attempt which
the operator has recorded can have a result.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from api.names import ANNOTATION_WARM_SINCE, LABEL_JOB_NAME, LABEL_MANAGED_BY, MANAGED_BY
from api.seal import Seal
from api.views import QiskitJob
from gateway.identity import Assignment, Go, admit, assignment
from gateway.results import Refused, store
from informers import Handler, Informer, Tombstone
from kube import NODES, PODS, QISKIT_JOBS, ApiError, Client, Conflict, NotFound, Pod
from messages.circuit import CircuitFacts
from messages.failure import EXIT_CODES, ExecutorReason, Failure
from messages.work import HandIn, Summary

SEAL = Seal(b"the seal of the tests, and of nothing else")
DOCUMENT = b'{"schema":"quantum.io/result/v1"}'


@dataclass(frozen=True)
class Plan:
    """What becomes of a pod. `ends` is None for one that goes on running until somebody ends it."""

    binds: bool = True
    starts: bool = True
    waiting: tuple[str, str] | None = None
    ends: Callable[[], dict[str, Any]] | None = None
    hands_in: bool = False


def terminated(**state: Any) -> Callable[[], dict[str, Any]]:
    """The container ended like this."""
    phase = "Succeeded" if state.get("exitCode") == 0 else "Failed"
    return lambda: {
        "phase": phase,
        "containerStatuses": [
            _container({"terminated": {"startedAt": _now(), "finishedAt": _now(), **state}})
        ],
    }


def reported(reason: ExecutorReason, message: str, **more: Any) -> Plan:
    """The executor gave up and said why."""
    report = msgspec.json.encode(Failure(reason=reason, message=message, **more)).decode()
    return Plan(ends=terminated(exitCode=EXIT_CODES[reason], reason="Error", message=report))


SUCCEEDS = Plan(hands_in=True, ends=terminated(exitCode=0, reason="Completed"))
RUNS = Plan()
PENDS = Plan(starts=False)
UNSCHEDULABLE = Plan(binds=False, starts=False)
EVICTED = Plan(
    ends=lambda: {"phase": "Failed", "reason": "Evicted", "message": "The node was low on memory."}
)
OOM_KILLED = Plan(ends=terminated(exitCode=137, reason="OOMKilled"))
ENDS_WITHOUT_RESULT = Plan(ends=terminated(exitCode=0, reason="Completed"))


@dataclass
class InstantNode:
    """Serves the executors' pods of one namespace. `plans` is asked by job name; the last plan stays."""

    client: Client
    namespace: str
    plans: dict[str, list[Plan]] = field(default_factory=dict)
    default: Plan = SUCCEEDS
    warm: Callable[[], dict[str, Any]] | None = None
    """How a warm pod ends right after it started; None for one that waits."""
    seal: Seal = SEAL
    served: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    summaries: dict[str, Summary] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"node-{self.namespace}"

    async def run(self) -> None:
        """Serve until cancelled."""
        body = {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self.name},
            "spec": {"unschedulable": True},
        }
        await self.client.create(NODES, body)
        try:
            async with asyncio.TaskGroup() as tasks:
                pods = Informer(
                    self.client,
                    PODS,
                    Pod,
                    namespace=self.namespace,
                    label_selector=f"{LABEL_MANAGED_BY}={MANAGED_BY}",
                )
                pods.add_handler(_Serve(self, tasks))
                tasks.create_task(pods.run())
        finally:
            await asyncio.shield(self.client.delete(NODES, self.name))

    def plan(self, pod: Pod) -> Plan:
        claim = assignment(pod)
        plans = self.plans.get(claim.job_name if claim else "")
        if not plans:
            return self.default
        return plans.pop(0) if len(plans) > 1 else plans[0]

    async def start(self, pod: Pod) -> None:
        """A new pod: bind it and run it. A warm one runs and waits for its claim."""
        self.served.append(pod.metadata.name)
        is_warm = assignment(pod) is None
        plan = RUNS if is_warm else self.plan(pod)
        if plan.waiting is not None:
            reason, message = plan.waiting
            await self.say(
                pod,
                {
                    "phase": "Pending",
                    "containerStatuses": [_container({"waiting": {"reason": reason, "message": message}})],
                },
            )
        if plan.binds:
            await self.bind(pod)
        if not plan.starts:
            return
        await self.say(pod, running(), warm=is_warm)
        if not is_warm:
            await self.work(pod, plan)
        elif self.warm is not None:
            await self.say(pod, self.warm())

    async def work(self, pod: Pod, plan: Plan) -> None:
        """Do what the plan says once the operator has recorded the pod."""
        if plan.ends is None:
            return
        claim = assignment(pod)
        assert claim is not None
        if plan.hands_in:
            await self.admitted(claim, pod)
            try:
                await self.hand_in(claim, pod)
            except Refused as refused:
                self.refusals.append(f"{pod.metadata.name}: {refused.reason}")
        await self.say(pod, plan.ends())

    async def hand_in(self, claim: Assignment, pod: Pod) -> str:
        summary = self.summaries.get(claim.job_name) or a_summary()
        hand_in = HandIn(
            job_uid=claim.job_uid,
            attempt=claim.attempt,
            digest=f"sha256:{hashlib.sha256(DOCUMENT).hexdigest()}",
            document=DOCUMENT,
            summary=summary,
        )
        return await store(self.client, self.seal, self.namespace, claim, pod.metadata.uid, hand_in)

    async def admitted(self, claim: Assignment, pod: Pod) -> None:
        """Wait, as an executor does, until the gateway would hand out work."""
        while True:
            try:
                job = await self.client.get(QISKIT_JOBS, claim.job_name, self.namespace, type=QiskitJob)
            except NotFound:
                return
            if isinstance(admit(job, claim, pod.metadata.uid), Go):
                return
            await asyncio.sleep(0.01)

    async def bind(self, pod: Pod) -> None:
        body = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": pod.metadata.name},
            "target": {"apiVersion": "v1", "kind": "Node", "name": self.name},
        }
        path = PODS.path(self.namespace, pod.metadata.name, "binding")
        with contextlib.suppress(Conflict, NotFound):
            await self.client.raw("POST", path, body=msgspec.json.encode(body))

    async def say(self, pod: Pod, status: dict[str, Any], *, warm: bool = False) -> None:
        """What a kubelet reports, and with `warm` the gateway; a pod that is gone is none of its business."""
        note = {"metadata": {"annotations": {ANNOTATION_WARM_SINCE: _now()}}} if warm else {}
        with contextlib.suppress(NotFound, Conflict):
            await self.client.merge_patch(
                PODS, pod.metadata.name, {"status": status, **note}, self.namespace, subresource="status"
            )

    async def remove(self, pod: Pod) -> None:
        """A pod that is being deleted has ended."""
        with contextlib.suppress(NotFound, Conflict):
            await self.client.delete(
                PODS, pod.metadata.name, self.namespace, uid=pod.metadata.uid, grace_period_seconds=0
            )


class _Serve:
    def __init__(self, node: InstantNode, tasks: asyncio.TaskGroup) -> None:
        self._node = node
        self._tasks = tasks

    def on_add(self, obj: Pod, initial: bool) -> None:
        if obj.metadata.deletion_timestamp is not None:
            self._do(self._node.remove(obj))
        elif obj.status.phase == "Pending":
            self._do(self._node.start(obj))

    def on_update(self, old: Pod, new: Pod) -> None:
        if new.metadata.uid != old.metadata.uid:
            self.on_add(new, False)
        elif new.metadata.deletion_timestamp is not None and old.metadata.deletion_timestamp is None:
            self._do(self._node.remove(new))
        elif assignment(old) is None and assignment(new) is not None:
            self._do(self._node.work(new, self._node.plan(new)))

    def on_delete(self, last: Pod | Tombstone[Pod]) -> None:
        pass

    def _do(self, work: Any) -> None:
        self._tasks.create_task(_ignoring_outages(work))


async def _ignoring_outages(work: Any) -> None:
    try:
        await work
    except ApiError as error:
        if error.status not in (403, 404, 409):
            raise


_: type[Handler[Pod]] = _Serve


def running() -> dict[str, Any]:
    return {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": _now()}],
        "containerStatuses": [_container({"running": {"startedAt": _now()}}, ready=True)],
    }


def _container(state: dict[str, Any], *, ready: bool = False) -> dict[str, Any]:
    return {
        "name": "executor",
        "image": "executor",
        "imageID": "",
        "ready": ready,
        "restartCount": 0,
        "state": state,
    }


def a_summary(**changes: Any) -> Summary:
    facts = CircuitFacts(
        name="qc",
        qubits=2,
        clbits=2,
        depth=3,
        gates=2,
        gate_types={"h": 1, "cx": 1},
        hash="sha256:circuit",
        method="stabilizer",
        memory_bytes=64,
    )
    summary = Summary(
        shots=1024,
        top_counts={"00": 520, "11": 504},
        circuit=facts,
        circuits=1,
        backend_version="0.18.2",
        method="stabilizer",
        execution_seconds=0.0125,
        total_seconds=0.25,
        peak_memory_bytes=108_003_328,
        cpu_seconds=0.31,
    )
    return msgspec.structs.replace(summary, **changes)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def job_name_of(pod: Pod) -> str:
    return pod.metadata.labels.get(LABEL_JOB_NAME, "")
