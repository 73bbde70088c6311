"""What users and the cluster do to a job while it lives: each ends right, once, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
import signal
from collections import Counter
from collections.abc import Callable
from typing import Any

import psutil
import pytest

from kube import CONFIG_MAPS, PODS, QISKIT_BACKENDS, QISKIT_JOBS, NotFound
from tests.product.circuits import BELL, SLOW_TO_RUN
from tests.product.conftest import DEADLINE, Job, Lab, phase

pytestmark = [pytest.mark.node]

SLOW_TO_BUILD = f"import time\ntime.sleep(4)\n{BELL}"
FEW: dict[str, Any] = {"execution": {"shots": 20}}
SWIFT_RETRY: dict[str, Any] = {"retryPolicy": {"backoff": {"initial": "1s"}}}
WAITING: dict[str, Any] = {"circuit": {"source": "configmap", "configMapRef": {"name": "absent", "key": "x"}}}


def runs_attempt(number: int) -> Callable[[Job], bool]:
    return lambda job: phase(job) == "Running" and job["status"]["attempt"] == number


async def a_backend(lab: Lab, name: str, **spec: Any) -> None:
    body = {"apiVersion": "quantum.io/v1", "kind": "QiskitBackend", "metadata": {"name": name}}
    await lab.client.create(
        QISKIT_BACKENDS, body | {"spec": {"type": "local_simulator", **spec}}, lab.namespace
    )


async def a_running_job(lab: Lab, code: str = SLOW_TO_RUN, **spec: Any) -> dict[str, Any]:
    await lab.submit(code, **spec)
    return await lab.reaches("Running")


async def test_cancel_before_anything_was_started(lab: Lab) -> None:
    await lab.submit(None, **WAITING)
    await lab.until(lambda job: "absent" in job.get("status", {}).get("message", ""))
    await lab.patch(cancel=True)
    assert phase(await lab.ended()) == "Cancelled"
    assert await lab.pods() == []


async def test_cancel_while_it_runs_ends_its_pod(lab: Lab) -> None:
    await a_running_job(lab)
    await lab.patch(cancel=True)
    job = await lab.ended()
    assert phase(job) == "Cancelled"
    assert job["status"]["completionTime"]
    await lab.nothing_runs()
    with pytest.raises(NotFound):
        await lab.config_map("job-results")


async def test_cancel_after_the_end_changes_nothing(lab: Lab) -> None:
    await lab.submit(BELL, **FEW)
    before = await lab.ended()
    await lab.patch(cancel=True)
    await lab.submit(BELL, name="another", **FEW)
    await lab.ended("another")
    after = await lab.job()
    seen = {"observedGeneration": after["metadata"]["generation"]}
    assert after["status"] == before["status"] | seen


async def test_suspend_ends_the_attempt_and_counts_as_no_retry(lab: Lab) -> None:
    await a_running_job(lab, SLOW_TO_BUILD, **FEW)
    await lab.patch(suspend=True)
    job = await lab.until(lambda job: phase(job) == "Pending")
    suspended = next(c for c in job["status"]["conditions"] if c["type"] == "Suspended")
    assert suspended["status"] == "True"
    await lab.nothing_runs()
    await lab.patch(suspend=False)
    job = await lab.ended()
    assert phase(job) == "Completed"
    assert job["status"].get("retryCount", 0) == 0


async def test_a_job_that_is_created_suspended_waits_for_its_release(lab: Lab) -> None:
    await lab.submit(BELL, suspend=True, **FEW)
    await lab.submit(BELL, name="other", **FEW)
    assert phase(await lab.ended("other")) == "Completed"
    assert phase(await lab.job()) == "Pending"
    await lab.patch(suspend=False)
    assert phase(await lab.ended()) == "Completed"


@pytest.mark.parametrize("moment", ["Running", "Completed"])
async def test_deleting_a_job_takes_what_belongs_to_it(lab: Lab, moment: str) -> None:
    await lab.submit(SLOW_TO_RUN if moment == "Running" else BELL)
    await lab.reaches(moment)
    await lab.client.delete(QISKIT_JOBS, "job", lab.namespace)
    async with asyncio.timeout(DEADLINE):
        while await lab.pods():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        while True:
            try:
                await lab.config_map("job-results")
            except NotFound:
                break
            await asyncio.sleep(0.05)


async def test_a_retained_result_outlives_its_job(lab: Lab) -> None:
    await lab.submit(BELL, output={"retention": "retain"}, **FEW)
    assert phase(await lab.ended()) == "Completed"
    await lab.client.delete(QISKIT_JOBS, "job", lab.namespace)
    async with asyncio.timeout(DEADLINE):
        while await lab.pods():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert "results.json" in (await lab.config_map("job-results"))["data"]


async def test_a_finished_job_goes_when_its_time_to_live_is_over(lab: Lab) -> None:
    await lab.submit(BELL, ttlSecondsAfterFinished=1, **FEW)
    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                await lab.job()
            except NotFound:
                break
            await asyncio.sleep(0.05)


async def test_a_pod_that_somebody_deletes_is_made_again(lab: Lab) -> None:
    job = await a_running_job(lab, SLOW_TO_BUILD, **FEW, **SWIFT_RETRY)
    [pod] = [pod for pod in await lab.pods() if pod["metadata"]["uid"] == job["status"]["jobId"]]
    await lab.client.delete(PODS, pod["metadata"]["name"], lab.namespace, grace_period_seconds=0)
    job = await lab.ended()
    assert phase(job) == "Completed", job["status"]
    assert (job["status"]["retryCount"], job["status"]["attempt"]) == (1, 2)


async def test_a_pod_that_is_evicted_is_told_from_one_that_is_lost(lab: Lab) -> None:
    job = await a_running_job(lab, SLOW_TO_RUN, retryPolicy={"maxRetries": 0})
    [pod] = [pod for pod in await lab.pods() if pod["metadata"]["uid"] == job["status"]["jobId"]]
    name = pod["metadata"]["name"]
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    path = PODS.path(lab.namespace, name, "eviction")
    await lab.client.raw("POST", path, body=json.dumps(eviction).encode())
    job = await lab.ended()
    assert (phase(job), job["status"]["reason"]) == ("Failed", "PodEvicted"), job["status"]


async def test_retries_end_with_the_last_cause(lab: Lab) -> None:
    policy: dict[str, Any] = {"retryPolicy": {"maxRetries": 1, "backoff": {"initial": "1s"}}}
    await lab.submit(SLOW_TO_RUN, **policy)
    for attempt in (1, 2):
        job = await lab.until(runs_attempt(attempt))
        [pod] = [pod for pod in await lab.pods() if pod["metadata"]["uid"] == job["status"]["jobId"]]
        await lab.client.delete(PODS, pod["metadata"]["name"], lab.namespace, grace_period_seconds=0)
    job = await lab.ended()
    assert (phase(job), job["status"]["reason"]) == ("Failed", "ExecutorLost")
    assert job["status"]["retryCount"] == 1


async def test_one_place_is_taken_by_priority_and_the_others_see_their_position(lab: Lab) -> None:
    await a_backend(lab, "narrow", limits={"concurrentJobs": 1})
    narrow: dict[str, Any] = {"backend": {"type": "local_simulator", "name": "narrow"}}

    def stands_at(position: int) -> Callable[[Job], bool]:
        return lambda job: job.get("status", {}).get("queuePosition") == position

    await lab.submit(SLOW_TO_RUN, name="first", **narrow)
    await lab.reaches("Running", "first")
    await lab.submit(BELL, name="low", **narrow, execution={"shots": 20, "priority": "low"})
    await lab.until(stands_at(1), "low")
    await lab.submit(SLOW_TO_RUN, name="urgent", **narrow, execution={"priority": "urgent"})
    await lab.until(stands_at(2), "low")
    await lab.patch("first", cancel=True)
    await lab.reaches("Running", "urgent")
    await lab.until(stands_at(1), "low")
    await lab.patch("urgent", cancel=True)
    assert phase(await lab.ended("low")) == "Completed"


async def test_a_warm_pod_serves_one_job_and_is_replaced(lab: Lab) -> None:
    await a_backend(lab, "warm", warmPool={"size": 1})

    async def one_is_warm() -> None:
        async with asyncio.timeout(DEADLINE):
            while True:
                found = await lab.client.get(QISKIT_BACKENDS, "warm", lab.namespace)
                if found.get("status", {}).get("warm") == 1:
                    return
                await asyncio.sleep(0.05)

    used = []
    for name in ("one", "two"):
        await one_is_warm()
        warm = {pod["metadata"]["uid"] for pod in await lab.pods()}
        await lab.submit(BELL, name=name, backend={"type": "local_simulator", "name": "warm"}, **FEW)
        job = await lab.ended(name)
        assert phase(job) == "Completed", job["status"]
        assert job["status"]["jobId"] in warm
        used.append(job["status"]["jobId"])
    assert len(set(used)) == 2


async def test_every_format_is_one_more_key(lab: Lab) -> None:
    import base64
    import io
    import pickle

    from qiskit import qpy

    for kind in ("pickle", "qpy", "csv"):
        await lab.submit(BELL, name=kind, output={"format": kind}, **FEW)
    for kind in ("pickle", "qpy", "csv"):
        assert phase(await lab.ended(kind)) == "Completed"
        stored = await lab.config_map(f"{kind}-results")
        counts = (await lab.result(kind))["results"]["counts"]
        extra = {**stored.get("data", {}), **stored.get("binaryData", {})}
        del extra["results.json"]
        [(name, value)] = extra.items()
        if kind == "csv":
            rows = [line.split(",") for line in value.splitlines()[1:]]
            assert {row[-2]: int(row[-1]) for row in rows} == counts, name
        elif kind == "pickle":
            assert pickle.loads(base64.b64decode(value))["results"]["counts"] == counts
        else:
            [circuit] = qpy.load(io.BytesIO(base64.b64decode(value)))
            assert circuit.num_qubits == 2


def process_of(lab: Lab, module: str) -> psutil.Process:
    """The operator's or the validation service's process of this very cluster, found by its own port."""
    ports = lab.cluster.ports
    known = {
        "controller": ("QISKIT_OPERATOR_METRICS_LISTEN_PORT", str(ports.metrics)),
        "validation_image": ("VALIDATION_LISTEN_PORT", str(ports.validation)),
    }
    name, value = known[module]
    for process in psutil.process_iter():
        try:
            if process.environ().get(name) == value and module in " ".join(process.cmdline()):
                return process
        except psutil.Error:
            continue
    raise AssertionError(f"no process of {module} runs")


@pytest.mark.parametrize("module", ["controller", "validation_image"])
async def test_killed_in_the_middle_of_many_jobs_nothing_is_lost_or_done_twice(lab: Lab, module: str) -> None:
    names = [f"job-{n}" for n in range(8)]
    for name in names:
        await lab.submit(BELL, name=name, **FEW)
    for name in names[:2]:
        await lab.until(lambda job: phase(job) not in ("", "Pending"), name)
    process_of(lab, module).send_signal(signal.SIGKILL)
    ends = [await lab.ended(name) for name in names]
    assert Counter(phase(end) for end in ends) == {"Completed": len(names)}
    results = await lab.client.list_items(
        CONFIG_MAPS, lab.namespace, type=dict[str, Any], label_selector="quantum.io/role=result"
    )
    assert Counter(r["metadata"]["labels"]["quantum.io/job-uid"] for r in results) == {
        end["metadata"]["uid"]: 1 for end in ends
    }
    pods = Counter(pod["metadata"]["labels"]["quantum.io/job-uid"] for pod in await lab.pods())
    for end in ends:
        assert pods[end["metadata"]["uid"]] <= end["status"]["attempt"]
