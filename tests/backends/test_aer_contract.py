"""The Aer backend keeps the contract, in process and across a pipe, on a real API server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from api.names import LABEL_MANAGED_BY, MANAGED_BY
from api.seal import Seal
from backends import Attempt, Handle, Owner, Resources, Submission
from backends.aer import AerBackend, AerSettings, GatewayAccess
from gateway.output import Owner as ResultOwner
from gateway.output import result_config_map
from kube import CONFIG_MAPS, PODS, QISKIT_JOBS, Client, PartialObject
from messages.work import HandIn
from tests.backends.contract_suite import BackendContract, Subject, across_a_pipe
from tests.reconcilers.fake_node import DOCUMENT, a_summary, running, terminated

pytestmark = pytest.mark.cluster

SETTINGS = AerSettings(gateway=lambda: GatewayAccess(url="https://127.0.0.1:8443", authority_pem="PEM"))
SMALL = Resources(requests={"cpu": "10m", "memory": "16Mi"}, limits={"cpu": "1", "memory": "64Mi"})


@pytest.fixture
async def owner(crds: None, client: Client, namespace: str) -> Owner:
    body = {
        "apiVersion": "quantum.io/v1",
        "kind": "QiskitJob",
        "metadata": {"name": "bell"},
        "spec": {
            "backend": {"type": "local_simulator"},
            "circuit": {"source": "inline", "code": "qc = None"},
        },
    }
    job = await client.create(QISKIT_JOBS, body, namespace, type=PartialObject)
    return Owner(namespace=namespace, name="bell", uid=job.metadata.uid)


class TestAer(BackendContract):
    @pytest.fixture(params=["in process", "across a pipe"])
    async def subject(
        self, request: pytest.FixtureRequest, client: Client, owner: Owner
    ) -> AsyncIterator[Subject]:
        namespace = owner.namespace

        def submission(number: int, **changes: Any) -> Submission:
            attempt = Attempt(owner=owner, number=number)
            fields = {"image": "executor:test", "resources": SMALL, **changes}
            return Submission(attempt=attempt, backend="local_simulator", **fields)

        async def begin(handle: Handle) -> None:
            await client.merge_patch(
                PODS, handle.name, {"status": running()}, namespace, subresource="status"
            )

        async def succeed(handle: Handle) -> None:
            hand_in = HandIn(
                job_uid=owner.uid,
                attempt=handle.attempt.number,
                digest="sha256:0",
                document=DOCUMENT,
                summary=a_summary(),
            )
            result_owner = ResultOwner("bell", namespace, owner.uid, handle.attempt.number, retain=False)
            result = result_config_map(
                result_owner, hand_in, Seal(bytes(32)), name="bell-results", location="bell-results"
            )
            await client.create(CONFIG_MAPS, result, namespace)
            ended = terminated(exitCode=0, reason="Completed")()
            await client.merge_patch(PODS, handle.name, {"status": ended}, namespace, subresource="status")

        async def expire(handle: Handle) -> None:
            await client.delete(PODS, handle.name, namespace, grace_period_seconds=0)

        async def count() -> int:
            pods = await client.list_items(
                PODS, namespace, type=PartialObject, label_selector=f"{LABEL_MANAGED_BY}={MANAGED_BY}"
            )
            return len(pods)

        subject = Subject(
            backend=AerBackend(client, SETTINGS),
            restarted=AerBackend(client, SETTINGS),
            submission=submission,
            unrunnable=submission(1, resources=Resources(limits={"memory": "-1"})),
            begin=begin,
            succeed=succeed,
            expire=expire,
            count=count,
        )
        if request.param == "in process":
            yield subject
        else:
            async with across_a_pipe(subject.backend) as remote:
                subject.backend = remote
                yield subject
