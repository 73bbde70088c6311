"""The executors' door on the real API server: real pods, real projected tokens, real TLS, real ConfigMaps."""

from __future__ import annotations

import asyncio
import hashlib
import time
from contextlib import AsyncExitStack
from typing import Any

import msgspec
import pytest

from api.views import QiskitBackend
from gateway import Gateway, GatewaySettings
from gateway.handlers import HAND_INS_AT_ONCE
from informers.informer import Informer
from kube import (
    CONFIG_MAPS,
    QISKIT_BACKENDS,
    SECRETS,
    SERVICE_ACCOUNTS,
    Client,
    NotFound,
)
from messages.work import TOKEN_AUDIENCE, Accepted, Progress, Refusal, Stage, WorkOrder
from tests.gateway.world import CODE, DIGEST, DOCUMENT, SETTINGS, World, following
from tests.reconcilers.operating import WatchedClient

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("crds")]

SECONDS_TO_SEE = 60.0
"""Until the gateway must have seen a change; its cache is a moment behind."""


async def test_an_executor_gets_its_work_and_hands_in_its_result(world: World) -> None:
    job, _, token = await world.running("bell")
    answer = await world.call("GET", "/v1/work", token)
    order = answer.read(WorkOrder)
    assert order.source.content == CODE.encode()
    assert (order.job_name, order.attempt, order.execution.shots) == ("bell", 1, 1024)
    assert order.limits.memory_bytes == 256 << 20
    progress = Progress(job_uid=order.job_uid, attempt=1, stage=Stage.RUNNING)
    assert (await world.call("POST", "/v1/progress", token, progress)).status == 204
    stored = await world.call("POST", "/v1/result", token, world.hand_in(job))
    assert stored.read(Accepted).location == "bell-results"
    kept = await world.client.get(CONFIG_MAPS, "bell-results", world.namespace)
    assert kept["data"]["results.json"].encode() == DOCUMENT


async def test_work_has_the_executors_own_limits_though_a_proxy_comes_first_in_the_pod(world: World) -> None:
    job = await world.job("bell")
    proxy = {"name": "proxy", "image": "proxy:1", "resources": {"limits": {"memory": "64Mi", "cpu": "2"}}}
    pod = await world.pod(job, before=[proxy])
    uid = pod["metadata"]["uid"]
    await world.status("bell", phase="Running", attempt=1, jobId=uid, source={"hash": DIGEST})
    order = (await world.call("GET", "/v1/work", await world.token(pod))).read(WorkOrder)
    assert (order.limits.memory_bytes, order.limits.cpus) == (256 << 20, 1.0)
    assert order.executor_image == "executor:1"


async def test_work_has_what_its_backend_says_though_the_cache_lags(client: Client, namespace: str) -> None:
    body = {"apiVersion": "quantum.io/v1", "kind": "QiskitBackend", "metadata": {"name": "noisy"}}
    spec = {"type": "local_simulator", "noiseModel": "manila", "limits": {"qubits": 5}}
    await client.create(QISKIT_BACKENDS, body | {"spec": spec}, namespace)
    settings = GatewaySettings(namespace, "127.0.0.1", 0, SETTINGS)
    async with following(client, namespace) as (jobs, _, pods):
        knows_none = Informer(client, QISKIT_BACKENDS, QiskitBackend, namespace=namespace)
        gateway = Gateway(client, jobs, knows_none, pods, settings, time.monotonic)
        await gateway.start()
        world = World(client, namespace, gateway)
        _, _, token = await world.running("bell", backend={"name": "noisy"})
        order = (await world.call("GET", "/v1/work", token)).read(WorkOrder)
        await gateway.stop()
    assert (order.execution.noise_model, order.limits.qubits) == ("manila", 5)
    assert order.execution.noise_field == "spec.noiseModel of QiskitBackend noisy"


async def test_no_work_of_a_backend_that_was_deleted_is_run_without_it(world: World) -> None:
    _, _, token = await world.running("bell", backend={"name": "gone"})
    answer = await world.call("GET", "/v1/work", token)
    assert answer.status == 409
    assert answer.read(Refusal).reason == "BackendNotFound"


async def test_an_executor_that_is_early_is_held_until_it_is_recorded(world: World) -> None:
    job = await world.job("early")
    pod = await world.pod(job)
    token = await world.token(pod)
    await world.status("early", phase="Scheduling", attempt=1, source={"hash": DIGEST})
    async with asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(world.call("GET", "/v1/work", token))
        await world.status("early", jobId=pod["metadata"]["uid"])
    assert asked.result().read(WorkOrder).job_name == "early"


async def test_a_hand_in_whose_answer_was_lost_is_answered_again(world: World) -> None:
    job, _, token = await world.running("twice")
    first = await world.call("POST", "/v1/result", token, world.hand_in(job))
    again = await world.call("POST", "/v1/result", token, world.hand_in(job))
    await world.status("twice", phase="Completed")
    after = await world.call("POST", "/v1/result", token, world.hand_in(job))
    assert first.read(Accepted) == again.read(Accepted) == after.read(Accepted)


async def test_another_result_of_the_same_attempt_is_refused(world: World) -> None:
    job, _, token = await world.running("forged")
    assert (await world.call("POST", "/v1/result", token, world.hand_in(job))).status == 200
    other = await world.call("POST", "/v1/result", token, world.hand_in(job, document=b'{"forged":1}'))
    assert (other.status, other.read(Refusal).reason) == (409, "AlreadyStored")


async def test_an_attempt_that_is_over_stores_nothing(world: World) -> None:
    job, _, token = await world.running("late")
    await world.status("late", phase="Scheduling", attempt=2, jobId=None)
    refused = await world.call("POST", "/v1/result", token, world.hand_in(job))
    assert refused.status == 409
    with pytest.raises(NotFound):
        await world.client.get(CONFIG_MAPS, "late-results", world.namespace)


async def test_a_pod_that_the_operator_did_not_record_gets_nothing(world: World) -> None:
    """Whoever may create pods can copy labels and owners; the UID in the status cannot be copied."""
    job, _, _ = await world.running("target")
    forged = await world.pod(job, suffix="-forged")
    token = await world.token(forged)
    deadline = time.monotonic() + SECONDS_TO_SEE
    while (
        answer := await world.call("GET", "/v1/work", token)
    ).status == 204 and time.monotonic() < deadline:
        pass
    assert answer.status == 409
    assert (await world.call("POST", "/v1/result", token, world.hand_in(job))).status == 409


async def test_what_a_pod_that_nobody_recorded_sends_is_not_read(world: World) -> None:
    """It would take memory and a place among the hand-ins for as long as its sender likes."""
    job, _, _ = await world.running("besieged")
    token = await world.token(await world.pod(job, suffix="-forged"))
    async with asyncio.timeout(60), world.unfinished(token) as (reader, _):
        assert (await reader.readline()).startswith(b"HTTP/1.1 409 ")


async def test_a_body_that_does_not_arrive_keeps_no_place(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.handlers.BODY_SECONDS", 2.0)
    _, _, stuck = await world.running("stuck")
    job, _, token = await world.running("waiting-behind")
    async with AsyncExitStack() as unfinished, asyncio.timeout(120):
        for _ in range(HAND_INS_AT_ONCE):
            await unfinished.enter_async_context(world.unfinished(stuck))
        while (await world.call("POST", "/v1/result", token, world.hand_in(job))).status != 200:
            pass


async def test_a_progress_report_is_not_read_without_end(world: World) -> None:
    _, _, token = await world.running("talkative")
    report = Progress(job_uid="x" * (1 << 20), attempt=1, stage=Stage.RUNNING)
    assert (await world.call("POST", "/v1/progress", token, report)).status == 413


async def test_only_tokens_of_pods_for_this_audience_are_taken(world: World) -> None:
    _, pod, _ = await world.running("tokens")
    for token in ("", "nonsense", await world.token(pod, audience="https://kubernetes.default.svc")):
        assert (await world.call("GET", "/v1/work", token)).status == 401
    body = msgspec.json.encode({"spec": {"audiences": [TOKEN_AUDIENCE], "expirationSeconds": 600}})
    path = SERVICE_ACCOUNTS.path(world.namespace, "default", "token")
    unbound = msgspec.json.decode(await world.client.raw("POST", path, body=body))["status"]["token"]
    assert (await world.call("GET", "/v1/work", unbound)).status == 401


async def test_a_source_that_changed_after_validation_is_not_handed_out(world: World) -> None:
    _, pod, token = await world.running("changed")
    await world.status("changed", source={"hash": "sha256:of-something-else"}, jobId=pod["metadata"]["uid"])
    deadline = time.monotonic() + SECONDS_TO_SEE
    while (
        answer := await world.call("GET", "/v1/work", token)
    ).status == 200 and time.monotonic() < deadline:
        pass
    assert (answer.status, answer.read(Refusal).reason) == (409, "SourceChanged")


async def test_an_output_name_that_is_taken_loses_nothing(world: World) -> None:
    taken = {"metadata": {"name": "mine"}, "data": {"keep": "me"}}
    await world.client.create(CONFIG_MAPS, taken, world.namespace)
    job, _, token = await world.running("polite", output={"location": "mine"})
    stored = (await world.call("POST", "/v1/result", token, world.hand_in(job))).read(Accepted)
    assert stored.location == f"result-{job['metadata']['uid']}"
    assert (await world.client.get(CONFIG_MAPS, "mine", world.namespace))["data"] == {"keep": "me"}
    kept = await world.client.get(CONFIG_MAPS, stored.location, world.namespace)
    assert kept["data"]["results.json"].encode() == DOCUMENT


async def test_a_result_that_is_too_large_is_refused_with_a_way_out(world: World) -> None:
    job, _, token = await world.running("large")
    document = b'"' + hashlib.shake_256(b"noise").hexdigest(2 << 20).encode() + b'"'
    refused = await world.call("POST", "/v1/result", token, world.hand_in(job, document=document))
    assert (refused.status, refused.read(Refusal).reason) == (413, "ResultTooLarge")
    assert "pvc" in refused.read(Refusal).message


async def quota(world: World, config_maps: int) -> None:
    path = f"/api/v1/namespaces/{world.namespace}/resourcequotas"
    hard = {"count/configmaps": str(config_maps)}
    await world.client.raw(
        "POST", path, body=msgspec.json.encode({"metadata": {"name": "few"}, "spec": {"hard": hard}})
    )
    async with asyncio.timeout(SECONDS_TO_SEE):
        while True:
            answer = msgspec.json.decode(await world.client.raw("GET", f"{path}/few"))
            if "hard" in answer.get("status", {}):
                return
            await asyncio.sleep(0.05)


async def test_a_quota_is_told_in_its_words_and_waited_for(world: World) -> None:
    job, _, token = await world.running("crowded")
    await quota(world, 0)
    answer = await world.call("POST", "/v1/result", token, world.hand_in(job))
    refusal = answer.read(Refusal)
    assert (answer.status, refusal.reason) == (503, "OutputConflict")
    assert "the cluster refused ConfigMap crowded-results: " in refusal.message
    assert "exceeded quota" in refusal.message


async def test_a_result_that_filled_the_quota_is_found_when_it_is_handed_in_again(world: World) -> None:
    """A quota is asked first, and would refuse the name that it counts already."""
    job, _, token = await world.running("last")
    assert (await world.call("POST", "/v1/result", token, world.hand_in(job))).status == 200
    await quota(world, 0)
    assert (await world.call("POST", "/v1/result", token, world.hand_in(job))).status == 200


async def test_a_result_that_lost_its_labels_on_its_way_in_is_not_said_to_be_stored(
    client: Client, namespace: str
) -> None:
    """The job would wait for a result that nobody knows for one, and be said to have lost its executor."""

    class Relabelled(WatchedClient):
        async def raw(self, method: str, path: str, **options: Any) -> bytes:
            if method == "POST" and path.endswith("/configmaps"):
                made = msgspec.json.decode(options["body"])
                made["metadata"]["labels"]["app.kubernetes.io/managed-by"] = "the-platform"
                options["body"] = msgspec.json.encode(made)
            return await super().raw(method, path, **options)

    settings = GatewaySettings(namespace, "127.0.0.1", 0, SETTINGS)
    async with following(client, namespace) as (jobs, backends, pods):
        gateway = Gateway(Relabelled(client), jobs, backends, pods, settings, time.monotonic)
        await gateway.start()
        world = World(client, namespace, gateway)
        job, _, token = await world.running("bell")
        answer = await world.call("POST", "/v1/result", token, world.hand_in(job))
        refusal = answer.read(Refusal)
        assert (answer.status, refusal.reason) == (409, "OutputConflict")
        assert "changed label app.kubernetes.io/managed-by of ConfigMap bell-results" in refusal.message
        await gateway.stop()


@pytest.mark.parametrize(
    "body",
    [Accepted(location="x"), b'{"job_uid": "\xff"}', b'{"job_uid": ' + b"[" * 5_000],
    ids=["another message", "a string that is not UTF-8", "nested without end"],
)
async def test_a_body_that_is_no_message_is_a_bad_request(world: World, body: Accepted | bytes) -> None:
    _, _, token = await world.running("garbage")
    assert (await world.call("POST", "/v1/result", token, body)).status == 400
    assert (await world.call("POST", "/v1/progress", token, body)).status == 400


async def test_two_replicas_share_one_authority_and_answer_alike(world: World) -> None:
    job, _, token = await world.running("replicas")
    async with following(world.client, world.namespace) as (jobs, backends, pods):
        other = Gateway(world.client, jobs, backends, pods, world.gateway.settings, time.monotonic)
        await other.start()
        assert other.bundle_pem == world.gateway.bundle_pem
        second = World(world.client, world.namespace, other)
        order = (await second.call("GET", "/v1/work", token)).read(WorkOrder)
        assert order.job_name == "replicas"
        assert (await second.call("POST", "/v1/result", token, world.hand_in(job))).status == 200
        assert (await world.call("POST", "/v1/result", token, world.hand_in(job))).status == 200
        await other.stop()


async def test_a_replica_whose_caches_lag_sends_no_executor_away(world: World) -> None:
    async with following(world.client, world.namespace) as caches:
        pass  # they follow no more
    job, _, token = await world.running("unseen")
    behind = Gateway(world.client, *caches, world.gateway.settings, time.monotonic)
    await behind.start()
    late = World(world.client, world.namespace, behind)
    progress = Progress(job_uid=job["metadata"]["uid"], attempt=1, stage=Stage.RUNNING)
    assert (await late.call("POST", "/v1/progress", token, progress)).status == 204
    assert (await late.call("POST", "/v1/result", token, world.hand_in(job))).status == 200
    await behind.stop()


async def test_a_gateway_that_stops_lets_waiting_executors_go(world: World) -> None:
    pod = await world.pod(await world.job("waiting"))
    token = await world.token(pod)
    async with asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(world.call("GET", "/v1/work", token))
        while not world.gateway._changes._waiting:  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.01)
        await world.gateway.stop()
    assert asked.result().status == 204


async def test_the_authority_lives_in_one_secret(world: World) -> None:
    secret = await world.client.get(SECRETS, "qiskit-operator-gateway-ca", world.namespace)
    assert set(secret["data"]) == {"ca.crt", "ca.key", "seal.key"}
