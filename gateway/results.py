"""Storing a result exactly once, whatever is in its place and however often it is handed in."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

from api.naming import output_name, receipt_name, volume_folder
from api.seal import Seal
from api.views import QiskitJob
from gateway.identity import Admission, Assignment, Caller, Go, admit, assignment
from gateway.output import Owner, belongs_to, is_same, result_config_map
from kube import (
    CONFIG_MAPS,
    PODS,
    QISKIT_JOBS,
    AlreadyExists,
    BadRequest,
    Client,
    Forbidden,
    Invalid,
    NotFound,
    PartialObject,
    Pod,
)
from messages.work import HandIn


class Refused(Exception):
    """The hand-in will never be taken. `reason` is for the executor's report."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class NotTaken(Exception):
    """The cluster refuses the object. That may pass, for a quota can be freed, but nothing here mends it."""


async def store(
    client: Client, seal: Seal, namespace: str, claim: Assignment, pod_uid: str, hand_in: HandIn
) -> str:
    """Create the output object of a finished attempt and return its location.

    The job is read live: a cache that lags must not let an attempt that is over store anything. A hand-in
    that was stored before (the answer was lost on the way) is answered like the first time.

    Raises:
        Refused: if the attempt is over, another object stands in both places, or what was stored was changed.
        gateway.output.TooLarge: if the result does not fit.
        NotTaken: if a quota or an admission webhook is against it.
        kube.ApiError: if the API server cannot be asked; the executor keeps the result and tries again.
    """
    if (hand_in.job_uid, hand_in.attempt) != (claim.job_uid, claim.attempt):
        raise Refused("AttemptOver", "the result is of another attempt than the one this pod was given")
    if hand_in.document and _digest(hand_in.document) != hand_in.digest:
        raise Refused("DigestMismatch", "the document does not have the digest that it was sent with")
    job = await _live_job(client, namespace, claim.job_name)
    if job is None:
        raise Refused("JobGone", f"QiskitJob {claim.job_name} is gone")
    owner = Owner(
        name=claim.job_name,
        namespace=namespace,
        uid=claim.job_uid,
        attempt=claim.attempt,
        retain=job.spec.output.retention == "retain",
    )
    places = _places(job)
    admission = admit(job, claim, pod_uid)
    if not isinstance(admission, Go):
        for name, location in places:
            if is_same(await _existing(client, namespace, name), owner, seal, hand_in.digest):
                return location
        raise refused(admission)
    for name, location in places:
        # Compressing takes a second at worst, and lets go of the interpreter's lock; the loop has a lease to keep.
        body = await asyncio.to_thread(result_config_map, owner, hand_in, seal, name=name, location=location)
        try:
            made = await client.create(CONFIG_MAPS, body, namespace, type=PartialObject)
        except AlreadyExists:
            existing = await _existing(client, namespace, name)
            if is_same(existing, owner, seal, hand_in.digest):
                return location
            if belongs_to(existing, owner, seal):
                raise Refused("AlreadyStored", f"ConfigMap {name} holds a result of this job") from None
            continue
        except (Forbidden, Invalid, BadRequest) as error:
            # A quota is asked before names are compared: it refuses what is stored already like what is new.
            if is_same(await _existing(client, namespace, name), owner, seal, hand_in.digest):
                return location
            raise NotTaken(f"the cluster refused ConfigMap {name}: {error.message}") from error
        if changed := _changed(body["metadata"], made):
            # Nobody would know it for the job's result, nor would the next attempt's fare better.
            raise Refused(
                "OutputConflict",
                f"the cluster changed {changed} of ConfigMap {name} when it was made: have the admission webhook that "
                "does so leave out the ConfigMaps that qiskit-operator makes",
            )
        return location
    taken = " and ".join(name for name, _ in places)
    raise Refused("OutputConflict", f"ConfigMap {taken} exist and are not this job's; delete or rename them")


async def live_assignment(client: Client, caller: Caller) -> tuple[Assignment | None, QiskitJob | None]:
    """What the API server says now that a pod is for, and that job. Raises kube.ApiError if it cannot be asked."""
    try:
        pod = await client.get(PODS, caller.pod_name, caller.namespace, type=Pod)
    except NotFound:
        return None, None
    claim = assignment(pod) if pod.metadata.uid == caller.pod_uid else None
    return claim, await _live_job(client, caller.namespace, claim.job_name) if claim else None


def refused(admission: Admission) -> Refused:
    """Why a pod that is not the job's current executor hands in nothing."""
    reason, message = getattr(admission, "reason", "NotRecorded"), getattr(admission, "message", "")
    return Refused(reason, message or "this pod is not recorded as the job's executor")


def _places(job: QiskitJob) -> list[tuple[str, str]]:
    """Where the result may go, in order: (ConfigMap's name, location as the status will say it)."""
    metadata, output = job.metadata, job.spec.output
    receipt = receipt_name(metadata.uid)
    if output.type == "pvc":
        folder = f"{output.path.strip('/')}/" if output.path else ""
        return [(receipt, f"{output.location}/{folder}{volume_folder(metadata.name, metadata.uid)}")]
    name = output_name(metadata.name, metadata.uid, output.location)
    return [(name, name), (receipt, receipt)]


async def _live_job(client: Client, namespace: str, name: str) -> QiskitJob | None:
    try:
        return await client.get(QISKIT_JOBS, name, namespace, type=QiskitJob)
    except NotFound:
        return None


async def _existing(client: Client, namespace: str, name: str) -> dict[str, Any]:
    try:
        found: dict[str, Any] = await client.get(CONFIG_MAPS, name, namespace)
    except NotFound:
        return {}
    return found


def _changed(wanted: dict[str, Any], made: PartialObject) -> str:
    """The labels and annotations that an object did not keep, by which it is known for a result."""
    metadata = made.metadata
    kept = (
        ("label", wanted["labels"], metadata.labels),
        ("annotation", wanted["annotations"], metadata.annotations),
    )
    return ", ".join(
        f"{kind} {name}" for kind, said, has in kept for name, value in said.items() if has.get(name) != value
    )


def _digest(document: bytes) -> str:
    return f"sha256:{hashlib.sha256(document).hexdigest()}"
