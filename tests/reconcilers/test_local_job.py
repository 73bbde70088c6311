"""A local job's life on a real API server, with an instant node."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from api.conditions import find_condition, is_true
from api.names import LABEL_JOB_UID, LABEL_MANAGED_BY
from api.views import QiskitJob
from backends import Attempt, Owner
from backends.aer.names import pod_name
from kube import (
    CONFIG_MAPS,
    NAMESPACES,
    NETWORK_POLICIES,
    PERSISTENT_VOLUME_CLAIMS,
    PODS,
    QISKIT_JOBS,
    ApiError,
    BadRequest,
    Forbidden,
    InternalError,
    NotFound,
    PartialObject,
    Pod,
)
from messages.failure import ExecutorReason
from messages.validation import Finding, ValidateResponse, Verdict
from reconcilers.isolation import POLICY_NAME
from reconcilers.job.running import RECORDED_BY, SHOWN_AFTER
from tests.reconcilers.conftest import Stage
from tests.reconcilers.fake_node import (
    ENDS_WITHOUT_RESULT,
    EVICTED,
    OOM_KILLED,
    PENDS,
    RUNS,
    SUCCEEDS,
    UNSCHEDULABLE,
    Plan,
    reported,
)
from tests.reconcilers.operating import (
    BELL,
    IMAGE,
    SETTINGS,
    Relabelled,
    StoppedClock,
    create_backend,
    eventually,
)
from tests.reconcilers.validation_stub import VALID, ValidationStub, content_fetched

pytestmark = pytest.mark.cluster

SOON = {"backoff": {"initial": "100ms", "maximum": "100ms"}}


async def pods_of(stage: Stage, job: QiskitJob) -> list[Pod]:
    return await stage.client.list_items(
        PODS, stage.namespace, type=Pod, label_selector=f"{LABEL_JOB_UID}={job.metadata.uid}"
    )


async def change(stage: Stage, name: str, **spec: Any) -> None:
    await stage.client.merge_patch(QISKIT_JOBS, name, {"spec": spec}, stage.namespace)


async def test_a_job_goes_from_its_spec_to_a_stored_result(stage: Stage) -> None:
    async with stage.operator(now=StoppedClock()) as operator:
        await stage.create("bell")
        job = await stage.until("bell", "Completed", "Failed")
        assert job.status.phase == "Completed", job.status
        assert job.status.results is not None
        assert job.status.results.location == "bell-results"
        assert job.status.results.top_counts == {"00": 520, "11": 504}
        assert is_true(job.status.conditions, "Complete")
        assert job.status.observed_generation == job.metadata.generation
        story = ["Scheduling", "Submitted", "Running", "Completed"]
        await eventually(lambda: operator.diary.reasons("bell") == story)


@pytest.mark.parametrize(("behaviour", "phase"), [(SUCCEEDS, "Completed"), (RUNS, "Running")])
async def test_a_spec_edited_without_a_consequence_has_been_looked_at(
    stage: Stage, behaviour: Plan, phase: str
) -> None:
    """Whoever deploys by tool waits until `status.observedGeneration` is that of the spec."""
    stage.node.default = behaviour
    async with stage.operator() as operator:
        await stage.create("bell")
        before = await stage.until("bell", phase)
        operator.client.writes.clear()
        await change(stage, "bell", ttlSecondsAfterFinished=3600)

        async def seen() -> QiskitJob | None:
            job = await stage.client.get(QISKIT_JOBS, "bell", stage.namespace, type=QiskitJob)
            edited = job.metadata.generation > before.metadata.generation
            return job if edited and job.status.observed_generation == job.metadata.generation else None

        job = await eventually(seen)
        assert msgspec.structs.replace(job.status, observed_generation=0) == msgspec.structs.replace(
            before.status, observed_generation=0
        )
        assert len(operator.client.written("qiskitjobs")) == 1


async def test_a_cold_job_takes_five_writes_of_which_one_is_the_gateways(stage: Stage) -> None:
    async with stage.operator(now=StoppedClock()) as operator:
        await stage.create("first")
        await stage.until("first", "Completed")
        operator.client.writes.clear()
        await stage.create("bell")
        await stage.until("bell", "Completed")
        status, pods = operator.client.written("qiskitjobs"), operator.client.written("pods")
        assert len(operator.client.writes) == 4, [str(write) for write in operator.client.writes]
        assert (len(status), len(pods)) == (3, 1)


async def test_a_cold_job_whose_pod_starts_late_takes_six_and_its_pod_is_recorded_before(
    stage: Stage,
) -> None:
    stage.node.default = PENDS
    clock = StoppedClock()
    async with stage.operator(now=clock) as operator:
        await stage.create("bell")
        made = f"POST /api/v1/namespaces/{stage.namespace}/pods"
        await eventually(lambda: made in operator.client.calls)
        clock.forward(RECORDED_BY)

        async def recorded() -> bool:
            return (await stage.job("bell")).status.job_id is not None

        await eventually(recorded)
        assert (await stage.job("bell")).status.phase == "Scheduling"
        [pod] = await pods_of(stage, await stage.job("bell"))
        stage.node.default = SUCCEEDS
        await stage.node.start(pod)
        await stage.until("bell", "Completed")
        written = [write.body for write in operator.client.writes if "/qiskitjobs" in write.path]
        assert len(written) == 4, written


async def test_what_the_validation_service_is_asked(stage: Stage) -> None:
    async with stage.operator():
        await stage.create("bell", execution={"shots": 7, "method": "statevector"})
        job = await stage.until("bell", "Completed")
    [asked] = stage.validation.validated
    assert (asked.code, asked.shots, asked.method) == (BELL, 7, "statevector")
    assert job.status.circuit_metadata is not None
    assert job.status.source is not None
    assert job.status.source.hash is not None


async def test_what_a_job_leaves_open_is_asked_as_its_backend_has_it(stage: Stage) -> None:
    await create_backend(
        stage.client, stage.namespace, "noisy", method="density_matrix", noiseModel="manila", image="noisy:1"
    )
    stage.node.default = RUNS
    async with stage.operator():
        job = await stage.create("bell", backend={"type": "local_simulator", "name": "noisy"})
        running = await stage.until("bell", "Running")
        [pod] = await pods_of(stage, job)
    [asked] = stage.validation.validated
    assert (asked.method, asked.noise) == ("density_matrix", True)
    assert running.status.selected_backend == "noisy"
    assert pod.spec.containers[0].image == "noisy:1"


async def test_the_pod_is_hardened_and_belongs_to_the_job(stage: Stage) -> None:
    stage.node.default = RUNS
    async with stage.operator():
        job = await stage.create("bell")
        await stage.until("bell", "Running")
        [pod] = await pods_of(stage, job)
        assert pod.metadata.controller is not None
        assert pod.metadata.controller.uid == job.metadata.uid
        assert pod.spec.containers[0].image == IMAGE
        policy = await stage.client.get(NETWORK_POLICIES, POLICY_NAME, stage.namespace)
        assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
        assert not policy["spec"].get("ingress")


class TestFailures:
    @pytest.mark.parametrize(
        ("plan", "reason"),
        [
            (reported(ExecutorReason.USER_CODE_ERROR, "division by zero", line=3), "UserCodeError"),
            (OOM_KILLED, "OutOfMemory"),
        ],
    )
    async def test_what_no_retry_can_mend_fails_at_once(self, stage: Stage, plan: Plan, reason: str) -> None:
        stage.node.default = plan
        async with stage.operator():
            await stage.create("bell")
            job = await stage.until("bell", "Failed", "Retrying", "Completed")
            assert (job.status.phase, job.status.reason, job.status.attempt) == ("Failed", reason, 1)
            assert is_true(job.status.conditions, "Failed")

    async def test_an_evicted_pod_is_followed_by_another_attempt(self, stage: Stage) -> None:
        stage.node.plans["bell"] = [EVICTED, ENDS_WITHOUT_RESULT, SUCCEEDS]
        async with stage.operator() as operator:
            job = await stage.create("bell", retryPolicy=SOON)
            done = await stage.until("bell", "Completed", "Failed")
            assert done.status.phase == "Completed", done.status
            assert (done.status.attempt, done.status.retry_count) == (3, 2)
            pods = await pods_of(stage, job)
            assert sorted(pod.metadata.labels["quantum.io/attempt"] for pod in pods) == ["1", "2", "3"]
            await eventually(lambda: operator.diary.reasons("bell").count("Retrying") == 2)

    async def test_a_deleted_pod_is_followed_by_another_attempt(self, stage: Stage) -> None:
        stage.node.plans["bell"] = [RUNS, SUCCEEDS]
        async with stage.operator():
            job = await stage.create("bell", retryPolicy=SOON)
            await stage.until("bell", "Running")
            [pod] = await pods_of(stage, job)
            await stage.client.delete(PODS, pod.metadata.name, stage.namespace)
            done = await stage.until("bell", "Completed", "Failed")
            assert (done.status.phase, done.status.attempt) == ("Completed", 2)

    async def test_a_pod_that_lost_its_labels_is_followed_by_another_attempt(self, stage: Stage) -> None:
        """No cache shows it any more and no gateway serves it: its end would be waited for without end."""
        stage.node.plans["bell"] = [RUNS, SUCCEEDS]
        async with stage.operator():
            job = await stage.create("bell", retryPolicy=SOON)
            await stage.until("bell", "Running")
            [pod] = await pods_of(stage, job)
            bare = {"metadata": {"labels": {LABEL_MANAGED_BY: None}}}
            await stage.client.merge_patch(PODS, pod.metadata.name, bare, stage.namespace)
            done = await stage.until("bell", "Completed", "Failed")
            assert (done.status.phase, done.status.attempt) == ("Completed", 2)

    async def test_retries_end(self, stage: Stage) -> None:
        stage.node.default = EVICTED
        async with stage.operator():
            await stage.create("bell", retryPolicy={"maxRetries": 2, **SOON})
            job = await stage.until("bell", "Failed")
            assert (job.status.reason, job.status.retry_count, job.status.attempt) == ("PodEvicted", 2, 3)

    async def test_a_pod_that_cannot_start_shows_why_and_fails_in_time(self, stage: Stage) -> None:
        stage.node.default = Plan(starts=False, waiting=("ImagePullBackOff", "no such image"))
        async with stage.operator():
            job = await stage.create("bell", timeouts={"pending": "5s"})

            async def shown() -> bool:
                return (await stage.job("bell")).status.reason == "ImagePullFailed"

            await eventually(shown)
            assert (await stage.job("bell")).status.phase == "Scheduling"
            failed = await stage.until("bell", "Failed")
            assert failed.status.reason == "ImagePullFailed"

            async def gone() -> bool:
                return not await pods_of(stage, job)

            await eventually(gone, what="the pod's end")

    async def test_a_pod_that_no_node_takes_shows_why_and_fails_in_time(self, stage: Stage) -> None:
        stage.node.default = UNSCHEDULABLE
        async with stage.operator():
            await stage.create("bell", timeouts={"pending": "6s"})

            async def shown() -> bool:
                return (await stage.job("bell")).status.reason == "Unschedulable"

            await eventually(shown)
            failed = await stage.until("bell", "Failed")
            assert failed.status.reason == "Unschedulable"

    async def test_pods_pass_pod_security_at_its_strictest(self, stage: Stage) -> None:
        namespace: dict[str, Any] = {
            "metadata": {"labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
        }
        await stage.client.merge_patch(NAMESPACES, stage.namespace, namespace)
        async with stage.operator():
            await stage.create("bell")
            job = await stage.until("bell", "Completed", "Failed")
            assert job.status.phase == "Completed"

    async def test_a_pod_that_a_limit_range_refuses(self, stage: Stage) -> None:
        path = f"/api/v1/namespaces/{stage.namespace}/limitranges"
        limit = {
            "metadata": {"name": "small"},
            "spec": {"limits": [{"type": "Container", "max": {"memory": "16Mi"}}]},
        }
        await stage.client.raw("POST", path, body=msgspec.json.encode(limit))
        async with stage.operator():
            await stage.create("bell")
            job = await stage.until("bell", "Failed", "Completed")
            assert job.status.reason == "PodRejected"
            assert "16Mi" in (job.status.message or "")

    async def test_a_pod_that_lost_its_labels_on_its_way_in_is_taken_back(self, stage: Stage) -> None:
        """Nobody would see it run, and no NetworkPolicy would hold it."""
        async with stage.operator(watched=Relabelled(stage.client)):
            job = await stage.create("bell")
            job = await stage.until("bell", "Failed", "Completed")
            assert job.status.reason == "PodRejected"
            assert "label app.kubernetes.io/managed-by" in (job.status.message or "")

            async def gone() -> bool:
                return not await pods_of(stage, job)

            await eventually(gone)

    async def test_a_cluster_that_takes_no_pods_is_told_and_tried_again(self, stage: Stage) -> None:
        """An admission webhook that is down answers 500 for as long as it is: no job waits for that unseen."""

        def broken(method: str, path: str) -> None:
            if method == "POST" and path.endswith("/pods"):
                raise InternalError(500, "InternalError", "failed calling webhook")

        async with stage.operator() as operator:
            operator.client.before = broken
            await stage.create("bell", timeouts={"pending": "1s"}, retryPolicy={**SOON, "maxRetries": 100})
            job = await stage.until("bell", "Retrying")
            assert job.status.reason == "ProviderUnavailable"
            assert "failed calling webhook" in (job.status.message or "")
            operator.client.before = lambda method, path: None
            done = await stage.until("bell", "Completed", "Failed")
            assert done.status.phase == "Completed", done.status

    @pytest.mark.parametrize("refused", ["/pods", f"/networkpolicies/{POLICY_NAME}"])
    async def test_what_the_cluster_lets_a_job_wait_for_is_shown_once(
        self, stage: Stage, refused: str
    ) -> None:
        """However often it is tried, and though no two tries say quite the same."""
        tries: list[str] = []

        def broken(method: str, path: str) -> None:
            if path.endswith(refused):
                tries.append(path)
                raise InternalError(
                    500, "InternalError", f"failed calling webhook: port {len(tries)}: refused"
                )

        async def shown() -> bool:
            status = (await stage.job("bell")).status
            return status.reason == "ProviderUnavailable" and "webhook" in (status.message or "")

        clock = StoppedClock()
        async with stage.operator(now=clock) as operator:
            operator.client.before = broken
            await stage.create("bell")
            await eventually(lambda: tries)
            clock.forward(SHOWN_AFTER)
            await eventually(shown)
            assert (await stage.job("bell")).status.phase == "Scheduling"
            enough = len(tries) + 3
            await eventually(lambda: len(tries) >= enough)
            written = operator.client.written("qiskitjobs")
            assert len(written) == 2, "the attempt, and what holds it up"
            assert operator.diary.reasons("bell").count("ProviderUnavailable") == 1
            operator.client.before = lambda method, path: None
            done = await stage.until("bell", "Completed", "Failed")
        assert (done.status.phase, done.status.attempt, done.status.reason) == ("Completed", 1, None)

    async def test_a_full_quota_is_waited_for(self, stage: Stage) -> None:
        path = f"/api/v1/namespaces/{stage.namespace}/resourcequotas"
        quota = {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
        await stage.client.raw("POST", path, body=msgspec.json.encode(quota))

        async def counted() -> bool:
            answer = msgspec.json.decode(await stage.client.raw("GET", f"{path}/none"))
            return "hard" in answer.get("status", {})

        await eventually(counted)
        async with stage.operator():
            await stage.create("bell", retryPolicy={**SOON, "maxRetries": 50})
            job = await stage.until("bell", "Retrying")
            assert job.status.reason == "QuotaExceeded"
            await stage.client.raw("DELETE", f"{path}/none")
            await stage.until("bell", "Completed")

    async def test_a_foreign_pod_of_the_name_is_not_taken_over(self, stage: Stage) -> None:
        job = await stage.create("bell")
        owner = Owner(namespace=stage.namespace, name="bell", uid=job.metadata.uid)
        name = pod_name(Attempt(owner=owner, number=1))
        body = {
            "metadata": {"name": name},
            "spec": {"containers": [{"name": "theirs", "image": "theirs"}]},
        }
        theirs = await stage.client.create(PODS, body, stage.namespace, type=Pod)
        async with stage.operator():
            failed = await stage.until("bell", "Failed", "Completed")
            assert failed.status.reason == "PodRejected"
            assert name in (failed.status.message or "")
        still = await stage.client.get(PODS, name, stage.namespace, type=Pod)
        assert still.metadata.uid == theirs.metadata.uid
        assert still.metadata.deletion_timestamp is None

    async def test_a_foreign_network_policy_of_the_name_is_not_overwritten(self, stage: Stage) -> None:
        body = {"metadata": {"name": POLICY_NAME}, "spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}
        await stage.client.create(NETWORK_POLICIES, body, stage.namespace)
        async with stage.operator():
            job = await stage.create("bell")
            failed = await stage.until("bell", "Failed", "Completed")
            assert failed.status.reason == "PodRejected"
            assert POLICY_NAME in (failed.status.message or "")
            assert not await pods_of(stage, job), "no executor starts without its isolation"
        policy = await stage.client.get(NETWORK_POLICIES, POLICY_NAME, stage.namespace)
        assert policy["spec"]["policyTypes"] == ["Ingress"]


class TestTheUsersWill:
    async def test_a_cancelled_jobs_pod_goes(self, stage: Stage) -> None:
        stage.node.default = RUNS
        async with stage.operator():
            job = await stage.create("bell")
            await stage.until("bell", "Running")
            await change(stage, "bell", cancel=True)
            await stage.until("bell", "Cancelled")

            async def gone() -> bool:
                return not await pods_of(stage, job)

            await eventually(gone, what="the pod's end")

    async def test_a_suspension_that_was_taken_back_before_it_was_seen_fails_no_job(
        self, stage: Stage
    ) -> None:
        """A gateway has seen it, and told the executor to stop."""
        stage.node.default = RUNS
        async with stage.operator():
            job = await stage.create("bell", retryPolicy={"maxRetries": 0})
            await stage.until("bell", "Running")
            [pod] = await pods_of(stage, job)
            # Any change of the spec will do for two that are over before they are seen.
            await change(stage, "bell", ttlSecondsAfterFinished=3600)
            stage.node.default = SUCCEEDS
            stopped = reported(ExecutorReason.SUSPENDED, "QiskitJob bell was suspended").ends
            assert stopped is not None
            await stage.node.say(pod, stopped())
            done = await stage.until("bell", "Completed", "Failed")
        assert (done.status.phase, done.status.attempt, done.status.retry_count) == ("Completed", 2, 0)

    async def test_a_suspended_job_lets_go_of_its_pod_and_starts_anew_later(self, stage: Stage) -> None:
        stage.node.plans["bell"] = [RUNS, SUCCEEDS]
        async with stage.operator():
            job = await stage.create("bell")
            await stage.until("bell", "Running")
            await change(stage, "bell", suspend=True)
            held = await stage.until("bell", "Pending")
            assert (held.status.reason, held.status.job_id) == ("Suspended", None)

            async def gone() -> bool:
                return not await pods_of(stage, job)

            await eventually(gone, what="the pod's end")
            await change(stage, "bell", suspend=False)
            done = await stage.until("bell", "Completed")
            assert (done.status.attempt, done.status.retry_count) == (2, 0)

    async def test_an_ended_job_is_deleted_with_what_is_its_own(self, stage: Stage) -> None:
        async with stage.operator():
            job = await stage.create("bell", ttlSecondsAfterFinished=1)
            await stage.until("bell", "Completed")

            async def gone() -> bool:
                try:
                    await stage.job("bell")
                except NotFound:
                    return not await pods_of(stage, job)
                return False

            await eventually(gone, what="the job's and the pod's end")

    async def test_a_job_of_the_same_name_made_at_once_is_another_job(self, stage: Stage) -> None:
        stage.node.plans["bell"] = [RUNS, SUCCEEDS]
        async with stage.operator():
            old = await stage.create("bell")
            await stage.until("bell", "Running")
            await stage.client.delete(QISKIT_JOBS, "bell", stage.namespace)
            new = await stage.create("bell")
            assert new.metadata.uid != old.metadata.uid
            done = await stage.until("bell", "Completed", "Failed")
            assert (done.status.phase, done.status.attempt) == ("Completed", 1), done.status
            assert done.metadata.uid == new.metadata.uid
            assert len(await pods_of(stage, new)) == 1

    async def test_a_job_made_again_does_not_fail_over_the_result_that_goes_with_its_predecessor(
        self, stage: Stage
    ) -> None:
        async with stage.operator():
            uids = set()
            for _ in range(3):
                await stage.create("bell")
                job = await stage.until("bell", "Completed", "Failed")
                assert job.status.phase == "Completed", job.status
                uids.add(job.metadata.uid)
                await stage.client.delete(QISKIT_JOBS, "bell", stage.namespace)
            assert len(uids) == 3

    async def test_a_result_that_was_kept_is_not_taken_for_one_that_goes(self, stage: Stage) -> None:
        async with stage.operator():
            await stage.create("bell", output={"retention": "retain"})
            assert (await stage.until("bell", "Completed", "Failed")).status.phase == "Completed"
            await stage.client.delete(QISKIT_JOBS, "bell", stage.namespace)
            await stage.create("bell")
            job = await stage.until("bell", "Completed", "Failed")
            assert job.status.reason == "OutputConflict", job.status

    async def test_the_total_time_ends_everything(self, stage: Stage) -> None:
        stage.node.default = PENDS
        async with stage.operator():
            job = await stage.create("bell", timeouts={"total": "3s"})
            failed = await stage.until("bell", "Failed")
            assert failed.status.reason == "TotalTimeout"

            async def gone() -> bool:
                return not await pods_of(stage, job)

            await eventually(gone, what="the pod's end")


class TestOutputs:
    async def test_an_output_that_is_taken_fails_before_a_pod_is_made(self, stage: Stage) -> None:
        theirs = {"metadata": {"name": "precious"}, "data": {"keep": "me"}}
        await stage.client.create(CONFIG_MAPS, theirs, stage.namespace)
        async with stage.operator():
            job = await stage.create("bell", output={"location": "precious"})
            failed = await stage.until("bell", "Failed", "Completed")
            assert failed.status.reason == "OutputConflict"
            assert not await pods_of(stage, job)
        kept = await stage.client.get(CONFIG_MAPS, "precious", stage.namespace)
        assert kept["data"] == {"keep": "me"}

    async def test_a_missing_volume_claim_is_waited_for(self, stage: Stage) -> None:
        async with stage.operator():
            job = await stage.create("bell", output={"type": "pvc", "location": "results"})

            async def shown() -> bool:
                return (await stage.job("bell")).status.reason == "Unschedulable"

            await eventually(shown)
            assert not await pods_of(stage, job)
            claim = {
                "metadata": {"name": "results"},
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
            }
            await stage.client.create(PERSISTENT_VOLUME_CLAIMS, claim, stage.namespace)
            done = await stage.until("bell", "Completed", "Failed")
            assert done.status.phase == "Completed", done.status
            assert done.status.results is not None
            assert done.status.results.location == f"results/bell-{job.metadata.uid}"


class TestSources:
    async def test_a_missing_config_map_is_waited_for_visibly(self, stage: Stage) -> None:
        async with stage.operator() as operator:
            reference = {"source": "configmap", "configMapRef": {"name": "code", "key": "bell.py"}}
            await stage.create("bell", circuit=reference)

            async def shown() -> QiskitJob | None:
                job = await stage.job("bell")
                return job if job.status.reason == "SourceNotFound" else None

            waiting: QiskitJob = await eventually(shown)
            assert waiting.status.phase == "Pending"
            await eventually(lambda: "SourceNotFound" in operator.diary.reasons("bell"))
            body = {"metadata": {"name": "code"}, "data": {"bell.py": BELL}}
            await stage.client.create(CONFIG_MAPS, body, stage.namespace)
            await stage.until("bell", "Completed")

    async def test_a_config_map_that_does_not_come_fails_the_job(self, stage: Stage) -> None:
        async with stage.operator():
            reference = {"source": "configmap", "configMapRef": {"name": "code", "key": "bell.py"}}
            await stage.create("bell", circuit=reference, timeouts={"pending": "2s"})
            job = await stage.until("bell", "Failed")
            assert job.status.reason == "SourceNotFound"

    async def test_a_circuit_that_is_refused_fails_before_a_pod_is_made(
        self, stage: Stage, validation: ValidationStub
    ) -> None:
        finding = Finding(reason="CircuitSyntaxError", message="invalid syntax", line=2)
        validation.answer = lambda _: ValidateResponse(
            verdict=Verdict.INVALID, valid=False, errors=(finding,)
        )
        async with stage.operator():
            job = await stage.create("bell")
            failed = await stage.until("bell", "Failed", "Completed")
            assert failed.status.reason == "CircuitSyntaxError"
            assert failed.status.message == "line 2: invalid syntax"
            validated = find_condition(failed.status.conditions, "Validated")
            assert validated is not None
            assert validated.status == "False"
            assert not await pods_of(stage, job)

    async def test_a_slow_validation_shows_its_phase_and_keeps_no_worker(
        self, stage: Stage, validation: ValidationStub
    ) -> None:
        async with stage.operator(workers=1, settings=replace(SETTINGS, validating_after=0.25)):
            validation.slow = 2.0
            await stage.create("slow")
            await stage.until("slow", "Validating")
            validation.slow = 0.0
            await stage.create("quick")
            await stage.until("quick", "Completed")
            assert (await stage.job("slow")).status.phase in (
                "Validating",
                "Scheduling",
                "Running",
                "Completed",
            )
            await stage.until("slow", "Completed")

    async def test_a_busy_validation_service_is_asked_again(
        self, stage: Stage, validation: ValidationStub
    ) -> None:
        answers: Iterator[ValidateResponse | int] = iter([429, 429, VALID])
        validation.answer = lambda _: next(answers)
        async with stage.operator():
            await stage.create("bell")
            job = await stage.until("bell", "Completed")
            assert job.status.retry_count == 0

    async def test_a_validation_service_that_is_down_is_retried(
        self, stage: Stage, validation: ValidationStub
    ) -> None:
        answers: Iterator[ValidateResponse | int] = iter([500, VALID])
        validation.answer = lambda _: next(answers)
        async with stage.operator() as operator:
            await stage.create("bell", retryPolicy=SOON)
            job = await stage.until("bell", "Completed")
            assert (job.status.retry_count, job.status.attempt) == (1, 1)
            await eventually(lambda: "Retrying" in operator.diary.reasons("bell"))

    async def test_large_code_is_read_live(self, stage: Stage, validation: ValidationStub) -> None:
        code = BELL + "#" * 100_000
        async with stage.operator() as operator:
            await stage.create("bell", circuit={"source": "inline", "code": code})
            await stage.until("bell", "Completed")
            cached = operator.jobs.get(stage.namespace, "bell")
            assert cached is not None
            assert cached.spec.circuit.code is None
        assert [asked.code for asked in validation.validated] == [code]

    @pytest.mark.parametrize(
        ("refusal", "phase", "reason"),
        [
            pytest.param(
                Forbidden(403, "Forbidden", "exceeded quota: few, requested: count/configmaps=1"),
                "Retrying",
                "QuotaExceeded",
                id="a quota",
            ),
            pytest.param(
                BadRequest(400, "BadRequest", 'admission webhook "no.example.org" denied the request'),
                "Failed",
                "SourceForbidden",
                id="a webhook",
            ),
        ],
    )
    async def test_a_namespace_that_does_not_take_what_was_fetched_is_told(
        self, stage: Stage, validation: ValidationStub, refusal: ApiError, phase: str, reason: str
    ) -> None:
        """Nothing else would ever wake the job, or say why it waits."""
        validation.fetched = lambda _: content_fetched(BELL.encode())

        def refused(method: str, path: str) -> None:
            if method == "POST" and path.endswith("/configmaps"):
                raise refusal

        url = "https://circuits.example.org/bell.py"
        async with stage.operator() as operator:
            operator.client.before = refused
            circuit = {"source": "url", "url": url}
            await stage.create("bell", circuit=circuit, retryPolicy={**SOON, "maxRetries": 100})
            job = await stage.until("bell", phase, seconds=20)
            assert job.status.reason == reason
            assert refusal.message in (job.status.message or "")

    async def test_what_was_fetched_is_kept_and_is_what_every_attempt_runs(
        self, stage: Stage, validation: ValidationStub
    ) -> None:
        validation.fetched = lambda _: content_fetched(BELL.encode(), revision="abc1234")
        stage.node.plans["bell"] = [EVICTED, SUCCEEDS]
        git = {"repository": "https://git.example.org/circuits.git", "path": "bell.py"}
        async with stage.operator():
            job = await stage.create("bell", circuit={"source": "git", "gitRef": git}, retryPolicy=SOON)
            done = await stage.until("bell", "Completed")
        assert len(validation.fetches) == 1
        assert done.status.source is not None
        assert done.status.source.revision == "abc1234"
        kept = await stage.client.get(CONFIG_MAPS, f"input-{job.metadata.uid}", stage.namespace)
        assert kept["data"] == {"source": BELL}
        assert kept["immutable"] is True
        owner = await stage.client.get(
            CONFIG_MAPS, f"input-{job.metadata.uid}", stage.namespace, type=PartialObject
        )
        assert owner.metadata.controller is not None
        assert owner.metadata.controller.uid == job.metadata.uid

    async def test_a_source_that_somebody_put_in_its_place_is_not_run(
        self, stage: Stage, validation: ValidationStub
    ) -> None:
        job = await stage.create("bell", circuit={"source": "url", "url": "https://example.org/bell.py"})
        owner = {"apiVersion": "quantum.io/v1", "kind": "QiskitJob", "name": "bell", "controller": True}
        forged = {
            "metadata": {
                "name": f"input-{job.metadata.uid}",
                "labels": {LABEL_JOB_UID: job.metadata.uid},
                "ownerReferences": [owner | {"uid": job.metadata.uid}],
            },
            "data": {"source": "forged = True"},
        }
        await stage.client.create(CONFIG_MAPS, forged, stage.namespace)
        async with stage.operator():
            done = await stage.until("bell", "Failed", "Completed")
        assert done.status.reason == "SourceForbidden"
        assert not await pods_of(stage, job)


class TestQueue:
    async def test_jobs_beyond_the_limit_wait_and_go_by_priority(self, stage: Stage) -> None:
        stage.node.plans["first"] = [RUNS]
        backend = {"type": "local_simulator", "name": "narrow"}
        await create_backend(stage.client, stage.namespace, "narrow", limits={"concurrentJobs": 1})
        async with stage.operator() as operator:
            await stage.create("first", backend=backend)
            await stage.until("first", "Running")
            await stage.create("normal", backend=backend)
            waiting = await stage.until("normal", "Scheduling")
            assert (waiting.status.reason, waiting.status.queue_position) == ("Queued", 1)
            await stage.create("urgent", backend=backend, execution={"priority": "urgent"})
            await stage.until("urgent", "Scheduling")
            await change(stage, "first", cancel=True)
            await stage.until("normal", "Completed")
            order = [name for name, _, reason, _ in operator.diary.events if reason == "Submitted"]
            assert order == ["first", "urgent", "normal"]
            done = await stage.job("normal")
            assert done.status.queue_position is None

    @pytest.mark.parametrize("name", ["nowhere", "..", "pool/status"])
    async def test_a_backend_that_is_missing(self, stage: Stage, name: str) -> None:
        """Whatever a job calls it: no text is taken for the path of something else."""
        await create_backend(stage.client, stage.namespace, "pool")
        async with stage.operator():
            await stage.create("bell", backend={"type": "local_simulator", "name": name})
            job = await stage.until("bell", "Failed")
            assert job.status.reason == "BackendNotFound"
            assert name in (job.status.message or "")
