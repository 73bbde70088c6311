"""What the caches keep of an object, and what they leave out (G18)."""

from __future__ import annotations

import inspect
from typing import Any, cast

import msgspec
import pytest

from api.views import QiskitBackend, QiskitJob
from controller.caches import LAST_APPLIED, follow, slim_backend, slim_job
from controller.metrics import Metrics
from informers import Informer, MultiNamespaceInformer
from kube import Client
from reconcilers.job.indexes import KEPT_CODE

CODE = "qc = QuantumCircuit(1)"


def job(code: str | None = CODE, **fields: Any) -> QiskitJob:
    metadata = {"namespace": "lab", "name": "bell", "uid": "1", "resourceVersion": "7"}
    spec = {"circuit": {"source": "inline", "code": code}}
    return msgspec.convert(
        {"metadata": metadata | fields.pop("metadata", {}), "spec": spec, **fields}, QiskitJob
    )


def test_short_code_is_kept_until_the_job_has_been_validated() -> None:
    assert slim_job(job()).spec.circuit.code == CODE
    validated = job(status={"source": {"hash": "sha256:abc"}})
    assert slim_job(validated).spec.circuit.code is None


@pytest.mark.parametrize(("length", "kept"), [(KEPT_CODE, True), (KEPT_CODE + 1, False)])
def test_long_code_is_not_kept(length: int, kept: bool) -> None:
    assert (slim_job(job("x" * length)).spec.circuit.code is not None) is kept


def test_kubectls_second_copy_of_the_object_is_not_kept() -> None:
    annotations = {LAST_APPLIED: "{...}", "team": "a"}
    slim = slim_job(job(metadata={"annotations": annotations}))
    assert slim.metadata.annotations == {"team": "a"}
    backend = msgspec.convert({"metadata": {"name": "b", "annotations": annotations}}, QiskitBackend)
    assert slim_backend(backend).metadata.annotations == {"team": "a"}


def test_slimming_is_idempotent_and_keeps_what_identifies_the_object() -> None:
    fat = job(
        "x" * (KEPT_CODE + 1), metadata={"annotations": {LAST_APPLIED: "x"}}, status={"phase": "Running"}
    )
    slim = slim_job(fat)
    assert slim_job(slim) == slim
    for name in ("name", "namespace", "uid", "resource_version"):
        assert getattr(slim.metadata, name) == getattr(fat.metadata, name)
    assert slim.status == fat.status


def test_an_object_with_nothing_to_leave_out_is_not_copied() -> None:
    lean = job()
    assert slim_job(lean) is lean


@pytest.mark.parametrize(
    ("namespaces", "kind"),
    [((), Informer), (("lab",), Informer), (("lab", "prod"), MultiNamespaceInformer)],
)
async def test_one_informer_for_all_one_for_one_and_several_for_several(
    namespaces: tuple[str, ...], kind: type[Any]
) -> None:
    caches = follow(cast(Client, None), namespaces, Metrics())
    assert {type(informer) for informer in caches.named().values()} == {kind}


def test_several_namespaces_read_like_one() -> None:
    """What the gateway and the reconcilers are given under the simpler name must be able to do the same."""
    for name, member in inspect.getmembers(Informer):
        if name.startswith("_") or name in {"state", "resource_version"}:
            continue
        assert hasattr(MultiNamespaceInformer, name), name
        if inspect.isfunction(member):
            assert (
                inspect.signature(member).parameters.keys()
                == inspect.signature(getattr(MultiNamespaceInformer, name)).parameters.keys()
            )
