"""HTTP at the executors' door: every answer is a message of `messages.work` or an empty body."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

import msgspec
import structlog
from aiohttp import web

from api.quantities import parse_cpu, parse_memory
from api.seal import Seal
from api.views import QiskitBackend, QiskitJob
from backends.aer.observation import executor_of
from gateway.identity import (
    Assignment,
    Caller,
    Go,
    Over,
    TokenVerifier,
    Unauthenticated,
    Wait,
    admit,
    assignment,
    is_recorded,
)
from gateway.orders import NoOrder, OrderSettings, write_order
from gateway.output import TooLarge
from gateway.results import NotTaken, Refused, live_assignment, refused, store
from gateway.waiting import Changes
from gateway.warm import note_warm
from informers.informer import Informer
from kube import QISKIT_BACKENDS, ApiError, Client, NotFound, Pod
from messages.failure import ExecutorReason
from messages.unreadable import UNREADABLE
from messages.work import WORK_POLL_SECONDS, Accepted, HandIn, Limits, Progress, Refusal

log = structlog.get_logger("gateway")

BODY_LIMIT = 32 << 20
"""Bytes of a hand-in that are read at all; far above what a ConfigMap takes, so that TooLarge can say how far."""

PROGRESS_LIMIT = 64 << 10
"""Bytes of a progress report that are read. It is read without a place among the hand-ins."""

BODY_SECONDS = 60.0
"""How long a body may take to arrive: a node that dies while it sends must not keep a place for hours."""

HAND_INS_AT_ONCE = 4
"""Hand-ins that are read and stored at the same time by one replica: bounds its memory to 4 bodies."""

M = TypeVar("M", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Doorkeeper:
    """What the handlers need to know and to reach."""

    client: Client
    verifier: TokenVerifier
    jobs: Informer[QiskitJob]
    backends: Informer[QiskitBackend]
    pods: Informer[Pod]
    changes: Changes
    seal: Seal
    orders: OrderSettings
    hand_ins: asyncio.Semaphore
    closing: asyncio.Event
    now: Callable[[], datetime]

    def app(self) -> web.Application:
        """The aiohttp application with its three calls."""
        application = web.Application()
        application.router.add_get("/v1/work", self.work)
        application.router.add_post("/v1/progress", self.progress)
        application.router.add_post("/v1/result", self.result)
        return application

    async def work(self, request: web.Request) -> web.StreamResponse:
        """Hold the caller until its pod is given an attempt, for at most `WORK_POLL_SECONDS`."""
        caller = await self._caller(request)
        deadline = time.monotonic() + WORK_POLL_SECONDS
        noted = False
        while True:
            changed = asyncio.Event()
            pod, claim, job = self._known(caller)
            if pod is not None and not noted:
                await note_warm(self.client, pod, self.now())
                noted = True
                continue  # the pod may have been claimed meanwhile
            keys = [caller.pod_uid, *([claim.job_uid] if claim else [])]
            with self.changes.watching(changed, *keys):
                admission = admit(job, claim, caller.pod_uid) if claim and job else Wait()
                if isinstance(admission, Over):
                    return _refuse(admission.reason, admission.message)
                if isinstance(admission, Go) and pod and claim and job:
                    return await self._hand_out(pod, claim, job)
                if self.closing.is_set() or not await _within(changed, self.closing, deadline):
                    return web.Response(status=204)

    async def progress(self, request: web.Request) -> web.StreamResponse:
        """Tell the caller whether its attempt still counts."""
        caller = await self._caller(request)
        message = await _body(request, Progress, PROGRESS_LIMIT)
        try:
            claim, job = await self._assigned(caller)
        except ApiError as error:
            return _unavailable(error)
        if claim is None or (message.job_uid, message.attempt) != (claim.job_uid, claim.attempt):
            return _refuse("AttemptOver", "this pod was not given that attempt")
        admission = admit(job, claim, caller.pod_uid)
        if isinstance(admission, Over):
            return _refuse(admission.reason, admission.message)
        log.debug("progress", job=claim.job_name, namespace=caller.namespace, stage=message.stage)
        return web.Response(status=204)

    async def result(self, request: web.Request) -> web.StreamResponse:
        """Store a finished attempt's result, and answer 200 only after it is stored."""
        caller = await self._caller(request)
        try:
            claim, job = await self._assigned(caller)
        except ApiError as error:
            return _unavailable(error)
        if claim is None:
            return _refuse("AttemptOver", "this pod was given no attempt")
        # A claim can be forged, and a body takes memory and a place: only a recorded executor's is read.
        if not is_recorded(job, claim, caller.pod_uid):
            refusal = refused(admit(job, claim, caller.pod_uid))
            return _refuse(refusal.reason, str(refusal))
        async with self.hand_ins:
            hand_in = await _body(request, HandIn, BODY_LIMIT)
            try:
                location = await store(
                    self.client, self.seal, caller.namespace, claim, caller.pod_uid, hand_in
                )
            except Refused as error:
                return _refuse(error.reason, str(error))
            except TooLarge as too_large:
                return _refuse(ExecutorReason.RESULT_TOO_LARGE, str(too_large), status=413)
            except NotTaken as not_taken:
                log.warning("a result is not taken", job=claim.job_name, error=str(not_taken))
                return _refuse(ExecutorReason.OUTPUT_CONFLICT, str(not_taken), status=503)
            except ApiError as error:
                return _unavailable(error)
        log.info("result stored", job=claim.job_name, namespace=caller.namespace, location=location)
        return _answer(Accepted(location=location))

    async def _hand_out(self, pod: Pod, claim: Assignment, job: QiskitJob) -> web.StreamResponse:
        container = executor_of(pod)
        limits = container.resources.limits
        try:
            backend = await self._backend(job)
            order = await write_order(
                self.client,
                job,
                backend,
                attempt=claim.attempt,
                image=container.image,
                limits=Limits(
                    memory_bytes=parse_memory(limits["memory"]) if "memory" in limits else None,
                    cpus=float(parse_cpu(limits["cpu"])) if "cpu" in limits else None,
                    qubits=backend.spec.limits.qubits if backend is not None else None,
                ),
                settings=self.orders,
            )
        except NoOrder as error:
            return _refuse(error.reason, str(error))
        except ApiError as error:
            return _unavailable(error)
        log.info(
            "work handed out", job=claim.job_name, namespace=job.metadata.namespace, attempt=claim.attempt
        )
        return _answer(order)

    async def _backend(self, job: QiskitJob) -> QiskitBackend | None:
        """The backend whose noise, method and limits the work has; none of them is left out for a cache that lags.

        Raises:
            NoOrder: if it was deleted.
            kube.ApiError: if the API server cannot be asked.
        """
        name, namespace = job.spec.backend.name, job.metadata.namespace
        if name is None:
            return None
        cached = self.backends.get(namespace, name)
        if cached is not None:
            return cached
        try:
            return await self.client.get(QISKIT_BACKENDS, name, namespace, type=QiskitBackend)
        except NotFound:
            raise NoOrder(
                ExecutorReason.BACKEND_NOT_FOUND,
                f"QiskitBackend {name!r} was deleted before its work was handed out",
            ) from None

    async def _caller(self, request: web.Request) -> Caller:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        try:
            if scheme.lower() != "bearer" or not token:
                raise Unauthenticated("a bearer token is required")
            return await self.verifier.verify(token.strip())
        except Unauthenticated as error:
            raise web.HTTPUnauthorized(text=str(error)) from None
        except ApiError as error:
            raise web.HTTPServiceUnavailable(text=f"tokens cannot be checked now: {error.reason}") from error

    async def _assigned(self, caller: Caller) -> tuple[Assignment | None, QiskitJob | None]:
        """What the caller is for, and its job. Caches may lag, and a refusal ends an executor and its result with it:
        what they do not confirm, the API server is asked."""
        _, claim, job = self._known(caller)
        if claim is not None and is_recorded(job, claim, caller.pod_uid):
            return claim, job
        return await live_assignment(self.client, caller)

    def _known(self, caller: Caller) -> tuple[Pod | None, Assignment | None, QiskitJob | None]:
        """What this replica's caches hold of the caller; a pod of the same name with another UID is not it."""
        pod = self.pods.get(caller.namespace, caller.pod_name)
        if pod is None or pod.metadata.uid != caller.pod_uid:
            return None, None, None
        claim = assignment(pod)
        if claim is None:
            return pod, None, None
        return pod, claim, self.jobs.get(caller.namespace, claim.job_name)


async def _within(changed: asyncio.Event, closing: asyncio.Event, deadline: float) -> bool:
    """Wait for either event; False when the deadline passed or the gateway is closing."""
    waits = [asyncio.ensure_future(changed.wait()), asyncio.ensure_future(closing.wait())]
    try:
        await asyncio.wait(
            waits, timeout=max(0.0, deadline - time.monotonic()), return_when=asyncio.FIRST_COMPLETED
        )
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
    return changed.is_set() and not closing.is_set()


async def _body(request: web.Request, kind: type[M], limit: int) -> M:
    content = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.content.iter_any():
                content += chunk
                if len(content) > limit:
                    raise web.HTTPRequestEntityTooLarge(limit, len(content))
    except TimeoutError:
        raise web.HTTPRequestTimeout(text=f"the body did not arrive within {BODY_SECONDS:g} s") from None
    try:
        return msgspec.json.decode(content, type=kind)
    except UNREADABLE as error:
        raise web.HTTPBadRequest(text=f"not a {kind.__name__}: {error}") from None


def _answer(message: msgspec.Struct, status: int = 200) -> web.Response:
    return web.Response(status=status, body=msgspec.json.encode(message), content_type="application/json")


def _refuse(reason: str, message: str, *, status: int = 409) -> web.Response:
    return _answer(Refusal(reason=reason, message=message), status)


def _unavailable(error: ApiError) -> web.Response:
    log.warning("the API server does not do what an executor needs", reason=error.reason, error=str(error))
    refusal = Refusal(reason="GatewayUnavailable", message=f"the API server answered {error.reason}")
    return _answer(refusal, 503)
