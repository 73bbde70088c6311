"""What the real API server makes of the CRDs: what it refuses, and that every refusal names its field."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from localcluster.controlplane import ControlPlane
from localcluster.kubectl import Kubectl, KubectlFailed

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("crds")]

Manifest = dict[str, Any]


def a_job(**spec: Any) -> Manifest:
    """A job that the API server takes, with blocks of its spec replaced."""
    return {
        "apiVersion": "quantum.io/v1",
        "kind": "QiskitJob",
        "metadata": {"name": "bell"},
        "spec": {
            "backend": {"type": "local_simulator"},
            "circuit": {"source": "inline", "code": "qc = QuantumCircuit(2)"},
            **spec,
        },
    }


def a_backend(**spec: Any) -> Manifest:
    return {
        "apiVersion": "quantum.io/v1",
        "kind": "QiskitBackend",
        "metadata": {"name": "noisy"},
        "spec": {"type": "local_simulator", **spec},
    }


class Api:
    """Requests to one namespace; an answer that is an error comes back as the Status that it is."""

    def __init__(self, session: aiohttp.ClientSession, namespace: str) -> None:
        self._session = session
        self._base = f"/apis/quantum.io/v1/namespaces/{namespace}"

    async def create(self, body: Manifest, *, validation: str = "Strict", dry_run: bool = False) -> Manifest:
        parameters = {"fieldValidation": validation} | ({"dryRun": "All"} if dry_run else {})
        content = io.BytesIO(json.dumps(body, ensure_ascii=False).encode())
        headers = {"Content-Type": "application/json"}
        path = f"/{body['kind'].lower()}s"
        return await self._answer("POST", path, data=content, headers=headers, params=parameters)

    async def patch(self, patch: Manifest, *, subresource: str = "") -> Manifest:
        headers = {"Content-Type": "application/merge-patch+json"}
        return await self._answer("PATCH", f"/qiskitjobs/bell{subresource}", json=patch, headers=headers)

    async def get(self) -> Manifest:
        return await self._answer("GET", "/qiskitjobs/bell")

    async def _answer(self, method: str, path: str, **arguments: Any) -> Manifest:
        async with self._session.request(method, self._base + path, **arguments) as response:
            answer: Manifest = await response.json()
            return answer | {"warning": response.headers.get("Warning", "")}


@pytest.fixture
async def api(control_plane: ControlPlane, namespace: str) -> AsyncIterator[Api]:
    async with control_plane.session() as session:
        yield Api(session, namespace)


def causes(status: Manifest) -> dict[str, str]:
    """Messages of a refusal by the field that it names."""
    assert status["kind"] == "Status", "was accepted"
    assert status["code"] == 422, status
    return {
        cause["field"]: cause["message"].removeprefix('Invalid value: "object": ')
        for cause in status["details"]["causes"]
    }


INLINE = {"source": "inline", "code": "qc = 1"}
CONFIG_MAP = {"name": "circuits", "key": "bell.py"}

REFUSED = {
    "no shots": (a_job(execution={"shots": 0}), "spec.execution.shots", "greater than or equal to 1"),
    "too many shots": (
        a_job(execution={"shots": 100_001}),
        "spec.execution.shots",
        "less than or equal to 100000",
    ),
    "an optimization level that Qiskit lacks": (
        a_job(execution={"optimizationLevel": 4}),
        "spec.execution.optimizationLevel",
        "less than or equal to 3",
    ),
    "an unknown method": (a_job(execution={"method": "guess"}), "spec.execution.method", "Unsupported value"),
    "an unknown priority": (
        a_job(execution={"priority": "vip"}),
        "spec.execution.priority",
        "Unsupported value",
    ),
    "a negative seed": (
        a_job(execution={"seedSimulator": -1}),
        "spec.execution.seedSimulator",
        "greater than or",
    ),
    "a noise model that is a path": (
        a_job(execution={"noiseModel": "../manila"}),
        "spec.execution.noiseModel",
        "the name of a device snapshot",
    ),
    "a duration in words": (
        a_job(execution={"maxExecutionTime": "10 minutes"}),
        "spec.execution.maxExecutionTime",
        "such as 90s, 10m or 1h30m",
    ),
    "a duration of nothing": (a_job(timeouts={"pending": "0m"}), "spec.timeouts.pending", "longer than zero"),
    "a negative duration": (a_job(timeouts={"total": "-1h"}), "spec.timeouts.total", "such as 90s"),
    "a backoff of days": (
        a_job(retryPolicy={"backoff": {"maximum": "1d"}}),
        "spec.retryPolicy.backoff.maximum",
        "such as 90s",
    ),
    "retries below zero": (
        a_job(retryPolicy={"maxRetries": -1}),
        "spec.retryPolicy.maxRetries",
        "or equal to 0",
    ),
    "a backoff that shrinks": (
        a_job(retryPolicy={"backoff": {"multiplier": 0.5}}),
        "spec.retryPolicy.backoff.multiplier",
        "or equal to 1",
    ),
    "memory in no unit of Kubernetes": (
        a_job(resources={"limits": {"memory": "4GB"}}),
        "spec.resources.limits[memory]",
        "such as 500m, 2, 512Mi or 4Gi",
    ),
    "less than no CPU": (
        a_job(resources={"requests": {"cpu": -1}}),
        "spec.resources.requests.cpu",
        "or equal to 0",
    ),
    "a request above its limit": (
        a_job(resources={"requests": {"memory": "2Gi"}, "limits": {"memory": "2000Mi"}}),
        "spec.resources.requests",
        "must not be more than limits.memory",
    ),
    "a CPU request above its limit": (
        a_job(resources={"requests": {"cpu": 2}, "limits": {"cpu": "1500m"}}),
        "spec.resources.requests",
        "must not be more than limits.cpu",
    ),
    "a backend of a later release": (
        a_job(backend={"type": "ibm_quantum"}),
        "spec.backend.type",
        'supported values: "local_simulator"',
    ),
    "no backend type": (a_job(backend={"name": "noisy"}), "spec.backend.type", "Required value"),
    "an unknown source": (a_job(circuit={"source": "mail"}), "spec.circuit.source", "Unsupported value"),
    "inline without code": (a_job(circuit={"source": "inline"}), "spec.circuit.code", "inline needs code"),
    "inline with empty code": (
        a_job(circuit={"source": "inline", "code": ""}),
        "spec.circuit.code",
        "at least 1",
    ),
    "code of more than 512 Ki": (
        a_job(circuit={"source": "inline", "code": "#" * (512 * 1024 + 1)}),
        "spec.circuit.code",
        "Too long",
    ),
    "code of few characters and more than 1 MiB": (
        a_job(circuit={"source": "inline", "code": "\N{MUSICAL SYMBOL G CLEF}" * (256 * 1024 + 1)}),
        "spec.circuit.code",
        "at most 1 MiB in UTF-8",
    ),
    "a ConfigMap without its reference": (
        a_job(circuit={"source": "configmap"}),
        "spec.circuit.configMapRef",
        "configmap needs configMapRef",
    ),
    "a reference without a key": (
        a_job(circuit={"source": "configmap", "configMapRef": {"name": "circuits"}}),
        "spec.circuit.configMapRef.key",
        "Required value",
    ),
    "a reference to a key with a blank": (
        a_job(circuit={"source": "configmap", "configMapRef": {"name": "circuits", "key": "my bell.py"}}),
        "spec.circuit.configMapRef.key",
        "such as bell.py",
    ),
    "a reference to a name in capitals": (
        a_job(circuit={"source": "configmap", "configMapRef": {"name": "Circuits", "key": "bell.py"}}),
        "spec.circuit.configMapRef.name",
        "lower-case letters",
    ),
    "a URL without the URL": (a_job(circuit={"source": "url"}), "spec.circuit.url", "url needs url"),
    "Git without a repository": (a_job(circuit={"source": "git"}), "spec.circuit.gitRef", "git needs gitRef"),
    "a URL that is not https": (
        a_job(circuit={"source": "url", "url": "http://example.org/bell.py"}),
        "spec.circuit.url",
        "an address that begins with https://",
    ),
    "a repository over ssh": (
        a_job(
            circuit={"source": "git", "gitRef": {"repository": "ssh://git@example.org/a.git", "path": "a.py"}}
        ),
        "spec.circuit.gitRef.repository",
        "an address that begins with https://",
    ),
    "half a commit ID": (
        a_job(
            circuit={
                "source": "git",
                "gitRef": {"repository": "https://example.org/a.git", "path": "a.py", "revision": "0123abc"},
            }
        ),
        "spec.circuit.gitRef.revision",
        "a full commit ID of 40",
    ),
    "two sources": (
        a_job(circuit=INLINE | {"configMapRef": CONFIG_MAP}),
        "spec.circuit.configMapRef",
        "goes with source configmap only",
    ),
    "the block of another source": (
        a_job(circuit={"source": "configmap", "configMapRef": CONFIG_MAP, "code": "qc = 1"}),
        "spec.circuit.code",
        "goes with source inline only",
    ),
    "inline QPY": (a_job(circuit=INLINE | {"format": "qpy"}), "spec.circuit.format", "QPY is binary"),
    "an entry point that is an expression": (
        a_job(circuit=INLINE | {"entrypoint": "make()"}),
        "spec.circuit.entrypoint",
        "a name of the code or the QPY file",
    ),
    "a sweep over nothing": (
        a_job(circuit=INLINE | {"parameters": [{}]}),
        "spec.circuit.parameters[0]",
        "at least 1",
    ),
    "a sweep over words": (
        a_job(circuit=INLINE | {"parameters": [{"theta": "pi"}]}),
        "spec.circuit.parameters[0].theta",
        "must be of type number",
    ),
    "an output of a later release": (a_job(output={"type": "s3"}), "spec.output.type", "Unsupported value"),
    "a volume without its claim": (
        a_job(output={"type": "pvc"}),
        "spec.output.location",
        "type pvc needs location",
    ),
    "a path in a ConfigMap": (a_job(output={"path": "runs"}), "spec.output.path", "goes with type pvc only"),
    "a path out of the volume": (
        a_job(output={"type": "pvc", "location": "results", "path": "runs/../../etc"}),
        "spec.output.path",
        "must not lead out of the volume",
    ),
    "a path with blanks": (
        a_job(output={"type": "pvc", "location": "results", "path": "my runs"}),
        "spec.output.path",
        "such as group-a/runs",
    ),
    "an output name that no ConfigMap can have": (
        a_job(output={"location": "My Results"}),
        "spec.output.location",
        "such as my-results",
    ),
    "an unknown format": (a_job(output={"format": "xml"}), "spec.output.format", "Unsupported value"),
    "an unknown retention": (
        a_job(output={"retention": "maybe"}),
        "spec.output.retention",
        "Unsupported value",
    ),
    "a negative time to live": (
        a_job(ttlSecondsAfterFinished=-1),
        "spec.ttlSecondsAfterFinished",
        "or equal to 0",
    ),
    "no spec": ({key: value for key, value in a_job().items() if key != "spec"}, "spec", "Required value"),
    "a backend without a type": (
        {**a_backend(), "spec": {"warmPool": {"size": 1}}},
        "spec.type",
        "Required value",
    ),
    "a warm pool of less than nothing": (
        a_backend(warmPool={"size": -1}),
        "spec.warmPool.size",
        "or equal to 0",
    ),
    "a backend that takes no shots": (a_backend(limits={"shots": 0}), "spec.limits.shots", "or equal to 1"),
    "a backend with memory in words": (
        a_backend(resources={"limits": {"memory": "much"}}),
        "spec.resources.limits[memory]",
        "such as 500m",
    ),
}


@pytest.mark.parametrize(("body", "field", "message"), REFUSED.values(), ids=REFUSED)
async def test_a_refusal_names_the_field(api: Api, body: Manifest, field: str, message: str) -> None:
    found = causes(await api.create(body))
    assert field in found
    assert message in found[field]


@pytest.mark.parametrize(
    "code",
    ["#" * (512 * 1024), "\N{MUSICAL SYMBOL G CLEF}" * (256 * 1024), "\n" * (512 * 1024)],
    ids=["ASCII", "four bytes each", "escaped"],
)
async def test_the_longest_code_is_stored_and_leaves_room_for_a_status(api: Api, code: str) -> None:
    created = await api.create(a_job(circuit={"source": "inline", "code": code}))
    assert created["kind"] == "QiskitJob", created.get("message")
    patched = await api.patch({"status": {"phase": "Failed", "message": "x" * 4096}}, subresource="/status")
    assert patched["kind"] == "QiskitJob", patched.get("message")


async def test_a_misspelt_field_is_refused_under_strict_validation(api: Api) -> None:
    answer = await api.create(a_job(execution={"shoots": 1}))
    assert (answer["code"], answer["reason"]) == (400, "BadRequest")
    assert 'unknown field "spec.execution.shoots"' in answer["message"]


async def test_a_misspelt_field_is_dropped_with_a_warning_otherwise(api: Api) -> None:
    created = await api.create(a_job(execution={"shoots": 1}), validation="Warn")
    assert 'unknown field \\"spec.execution.shoots\\"' in created["warning"]
    assert "shoots" not in created["spec"]["execution"]


@pytest.mark.parametrize("field", ["hub", "instance"])
async def test_a_field_of_a_later_release_does_not_exist_yet(api: Api, field: str) -> None:
    answer = await api.create(a_job(backend={"type": "local_simulator", field: "x"}))
    assert f'unknown field "spec.backend.{field}"' in answer["message"]


async def test_a_bare_job_gets_every_default(api: Api) -> None:
    created = await api.create(a_job())
    assert created["spec"] == a_job()["spec"] | {
        "execution": {"shots": 1024, "optimizationLevel": 1, "priority": "normal", "method": "automatic"},
        "retryPolicy": {"maxRetries": 3, "backoff": {"initial": "10s", "multiplier": 2, "maximum": "5m"}},
        "timeouts": {"pending": "10m"},
        "output": {"type": "configmap", "format": "json", "retention": "delete"},
        "suspend": False,
    }
    assert (await api.get())["status"] == {"phase": "Pending"}


async def test_optimization_level_zero_stays_zero(api: Api) -> None:
    created = await api.create(a_job(execution={"optimizationLevel": 0}))
    assert created["spec"]["execution"]["optimizationLevel"] == 0


FULL = a_job(
    backend={"type": "local_simulator", "name": "noisy"},
    circuit={
        "source": "git",
        "gitRef": {
            "repository": "https://example.org/a.git",
            "path": "a.py",
            "branch": "main",
            "revision": "0123456789abcdef0123456789abcdef01234567",
        },
        "format": "python",
        "entrypoint": "make",
        "parameters": [{"theta": 0.5}, {"theta": 1}],
    },
    execution={
        "shots": 100_000,
        "optimizationLevel": 3,
        "maxExecutionTime": "1h30m",
        "priority": "urgent",
        "seedSimulator": 2**32 - 1,
        "seedTranspiler": 0,
        "method": "matrix_product_state",
        "noiseModel": "manila",
    },
    resources={
        "requests": {"cpu": 1, "memory": "1Gi"},
        "limits": {"cpu": "1", "memory": "1024Mi", "vendor.io/gpu": 1},
    },
    retryPolicy={"maxRetries": 0, "backoff": {"initial": "500ms", "multiplier": 1.5, "maximum": "1h"}},
    timeouts={"pending": "90s", "total": "24h"},
    suspend=True,
    ttlSecondsAfterFinished=0,
    output={
        "type": "pvc",
        "location": "results",
        "path": "/runs/today/",
        "format": "qpy",
        "retention": "retain",
    },
)


async def test_every_field_of_a_job_can_be_given(api: Api) -> None:
    created = await api.create(FULL)
    assert created["spec"] == FULL["spec"]


CHANGES = {
    "backend": {"name": "other"},
    "circuit": {"entrypoint": "other"},
    "execution": {"shots": 1},
    "resources": {"limits": {"memory": "2Gi"}},
    "retryPolicy": {"maxRetries": 1},
    "timeouts": {"total": "25h"},
    "output": {"format": "csv"},
}


@pytest.mark.parametrize("block", CHANGES)
async def test_a_block_cannot_be_changed_once_the_job_exists(api: Api, block: str) -> None:
    await api.create(FULL)
    found = causes(await api.patch({"spec": {block: CHANGES[block]}}))
    assert found == {f"spec.{block}": f"{block} cannot be changed once the job exists: create a new job"}


async def test_a_block_cannot_be_removed(api: Api) -> None:
    await api.create(FULL)
    assert set(causes(await api.patch({"spec": {"resources": None}}))) == {"spec.resources"}


async def test_a_block_cannot_be_added(api: Api) -> None:
    await api.create(a_job())
    assert set(causes(await api.patch({"spec": {"resources": {"limits": {"cpu": 1}}}}))) == {"spec.resources"}


async def test_what_controls_a_job_can_be_changed(api: Api) -> None:
    await api.create(a_job())
    for change in ({"suspend": True}, {"suspend": False}, {"ttlSecondsAfterFinished": 60}, {"cancel": True}):
        assert (await api.patch({"spec": change}))["kind"] == "QiskitJob"


@pytest.mark.parametrize("revoked", [False, None])
async def test_a_cancelled_job_stays_cancelled(api: Api, revoked: bool | None) -> None:
    await api.create(a_job(cancel=True))
    found = causes(await api.patch({"spec": {"cancel": revoked}}))
    assert found == {"spec.cancel": "cancel cannot be taken back: create a new job"}


async def test_status_is_written_through_its_subresource_only(api: Api) -> None:
    await api.create(a_job() | {"status": {"phase": "Completed"}})
    assert (await api.patch({"status": {"phase": "Completed"}}))["status"] == {"phase": "Pending"}
    written = await api.patch({"status": {"phase": "Running", "attempt": 1}}, subresource="/status")
    assert written["status"] == {"phase": "Running", "attempt": 1}
    assert written["metadata"]["generation"] == 1


async def test_a_phase_that_does_not_exist_cannot_be_written(api: Api) -> None:
    await api.create(a_job())
    assert "status.phase" in causes(await api.patch({"status": {"phase": "Dreaming"}}, subresource="/status"))


async def test_conditions_are_one_of_each_type(api: Api) -> None:
    await api.create(a_job())
    condition = {
        "type": "Complete",
        "status": "True",
        "reason": "Done",
        "lastTransitionTime": "2027-01-15T08:00:00Z",
    }
    doubled = {"status": {"conditions": [condition, condition]}}
    assert "status.conditions[1]" in causes(await api.patch(doubled, subresource="/status"))


async def test_get_shows_the_columns(api: Api, kubectl: Kubectl, namespace: str) -> None:
    await api.create(a_job())
    status: Manifest = {
        "phase": "Completed",
        "reason": "",
        "selectedBackend": "local_simulator",
        "circuitMetadata": {"qubits": 2, "depth": 3},
        "metrics": {"totalTime": "1.2s"},
    }
    await api.patch({"status": status}, subresource="/status")
    head, row = (await kubectl("get", "qj", f"--namespace={namespace}", "--output=wide")).splitlines()
    assert head.split() == [
        "NAME",
        "PHASE",
        "BACKEND",
        "SHOTS",
        "QUBITS",
        "DEPTH",
        "DURATION",
        "REASON",
        "AGE",
    ]
    assert row.split()[:7] == ["bell", "Completed", "local_simulator", "1024", "2", "3", "1.2s"]
    narrow = await kubectl("get", "quantum", f"--namespace={namespace}")
    assert narrow.splitlines()[0].split() == ["NAME", "PHASE", "BACKEND", "SHOTS", "AGE"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("qjob.spec", "cannot be changed once the job exists"),
        ("qjob.spec.execution.shots", "How often each circuit is run"),
        ("qjob.spec.circuit.gitRef", "Git repository"),
        ("qjob.status.results", "topCounts"),
        ("qbackend.spec.warmPool", "started beforehand"),
    ],
)
async def test_explain_is_a_manual(kubectl: Kubectl, path: str, text: str) -> None:
    assert text in " ".join((await eventually_explain(kubectl, path)).split())


async def eventually_explain(kubectl: Kubectl, path: str) -> str:
    """The server publishes a new kind's documentation some seconds after it serves it."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await kubectl("explain", path)
            except KubectlFailed:
                await asyncio.sleep(0.2)


async def test_kubectl_refuses_a_misspelt_field_by_default(kubectl: Kubectl, namespace: str) -> None:
    misspelt = a_job()
    misspelt["spec"]["exekution"] = {}
    with pytest.raises(KubectlFailed, match=r'unknown field "spec\.exekution"'):
        await kubectl("create", f"--namespace={namespace}", "--filename=-", stdin=json.dumps(misspelt))
