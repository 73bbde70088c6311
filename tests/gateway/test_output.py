"""The object that a result becomes, at and around the limits of a ConfigMap."""

from __future__ import annotations

import base64
import copy
import gzip
import hashlib
import random
import threading
from typing import cast

import msgspec
import pytest

from api.seal import Seal
from api.views import QiskitJob
from gateway.identity import Assignment
from gateway.output import PLAIN_LIMIT, Owner, TooLarge, belongs_to, is_same, result_config_map
from gateway.results import store
from kube import Client, PartialObject
from messages.circuit import CircuitFacts
from messages.work import HandIn, Summary

SEAL = Seal(bytes(32))
OWNER = Owner("bell", "lab", "job-1", 1, retain=False)


def a_summary(gate_types: dict[str, int] | None = None) -> Summary:
    circuit = CircuitFacts(
        name="bell", qubits=2, clbits=2, depth=3, gates=2, gate_types=gate_types or {"h": 1, "cx": 1},
        hash="sha256:00", method="stabilizer",
    )  # fmt: skip
    return Summary(
        shots=10, top_counts={"00": 6, "11": 4}, circuit=circuit, circuits=1, backend_version="0.18",
        method="stabilizer", execution_seconds=0.1, total_seconds=0.2,
    )  # fmt: skip


def a_hand_in(
    document: bytes, extras: dict[str, bytes] | None = None, summary: Summary | None = None
) -> HandIn:
    digest = f"sha256:{hashlib.sha256(document).hexdigest()}"
    return HandIn(
        job_uid="job-1", attempt=1, digest=digest, document=document, extras=extras or {},
        summary=summary or a_summary(),
    )  # fmt: skip


def test_a_small_document_stays_readable() -> None:
    body = result_config_map(OWNER, a_hand_in(b'{"counts":1}'), SEAL, name="out", location="out")
    assert body["data"] == {"results.json": '{"counts":1}'}
    assert body["metadata"]["ownerReferences"][0]["uid"] == "job-1"


def test_a_large_document_is_compressed_and_comes_back_byte_for_byte() -> None:
    document = b'{"counts":"' + b"01" * PLAIN_LIMIT + b'"}'
    body = result_config_map(OWNER, a_hand_in(document), SEAL, name="out", location="out")
    assert "data" not in body
    assert gzip.decompress(base64.b64decode(body["binaryData"]["results.json.gz"])) == document


def test_compressing_is_not_left_to_the_slowest_level() -> None:
    """It takes 13 s for a hundred thousand long outcomes. The ninth byte of a gzip file tells of that level."""
    body = result_config_map(OWNER, a_hand_in(b"01" * PLAIN_LIMIT), SEAL, name="out", location="out")
    assert base64.b64decode(body["binaryData"]["results.json.gz"])[8] != 2


async def test_compressing_does_not_hold_up_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []

    def compressing(*_: object, **__: object) -> dict[str, object]:
        threads.append(threading.current_thread())
        return {"metadata": {"labels": {}, "annotations": {}}}

    class Server:
        async def get(self, *_: object, **__: object) -> QiskitJob:
            metadata = {"name": "bell", "namespace": "lab", "uid": "job-1"}
            status = {"phase": "Running", "attempt": 1, "jobId": "pod-1"}
            return msgspec.convert({"metadata": metadata, "status": status}, QiskitJob)

        async def create(
            self, _resource: object, body: object, *_: object, **_options: object
        ) -> PartialObject:
            return msgspec.convert(body, PartialObject)

    monkeypatch.setattr("gateway.results.result_config_map", compressing)
    claim = Assignment("bell", "job-1", 1)
    await store(cast("Client", Server()), SEAL, "lab", claim, "pod-1", a_hand_in(b"{}"))
    assert threads
    assert threading.current_thread() not in threads


def test_what_does_not_fit_even_compressed_is_refused_with_a_way_out() -> None:
    document = random.Random(1).randbytes(2 << 20)
    with pytest.raises(TooLarge, match=r"2\.0 MiB .* pvc"):
        result_config_map(OWNER, a_hand_in(document), SEAL, name="out", location="out")


def test_extras_are_keys_beside_it_as_text_where_they_are_text() -> None:
    extras = {"results.csv": b"outcome,count\n", "circuit.qpy": b"\xff\x00"}
    body = result_config_map(OWNER, a_hand_in(b"{}", extras), SEAL, name="out", location="out")
    assert body["data"]["results.csv"] == "outcome,count\n"
    assert base64.b64decode(body["binaryData"]["circuit.qpy"]) == b"\xff\x00"


def test_a_result_that_is_retained_has_no_owner_but_its_label() -> None:
    retained = Owner("bell", "lab", "job-1", 1, retain=True)
    body = result_config_map(retained, a_hand_in(b"{}"), SEAL, name="out", location="out")
    assert "ownerReferences" not in body["metadata"]
    assert belongs_to(body, retained, SEAL)


def test_a_summary_that_user_code_blew_up_is_cut_down() -> None:
    many = {f"gate{i:06d}": 1 for i in range(20_000)}
    body = result_config_map(
        OWNER, a_hand_in(b"{}", summary=a_summary(many)), SEAL, name="out", location="out"
    )
    assert len(body["metadata"]["annotations"]["quantum.io/summary"]) < 32 << 10


def test_outcomes_of_thousands_of_bits_cost_the_summary_some_of_them_and_not_the_result() -> None:
    outcomes = {f"{i:05000b}": 10 - i for i in range(10)}
    summary = msgspec.structs.replace(a_summary(), top_counts=outcomes)
    body = result_config_map(OWNER, a_hand_in(b"{}", summary=summary), SEAL, name="out", location="out")
    kept = msgspec.json.decode(body["metadata"]["annotations"]["quantum.io/summary"], type=Summary)
    assert kept.top_counts == dict(list(outcomes.items())[:6])


def test_only_the_same_bytes_of_the_same_attempt_are_the_same_result() -> None:
    hand_in = a_hand_in(b"{}")
    stored = result_config_map(OWNER, hand_in, SEAL, name="out", location="out")
    assert is_same(stored, OWNER, SEAL, hand_in.digest)
    assert not is_same(stored, OWNER, SEAL, a_hand_in(b"[]").digest)
    assert not is_same(stored, Owner("bell", "lab", "job-1", 2, retain=False), SEAL, hand_in.digest)
    assert not is_same(stored, Owner("bell", "lab", "job-2", 1, retain=False), SEAL, hand_in.digest)
    assert not belongs_to({"metadata": {"labels": {"quantum.io/job-uid": "job-1"}}}, OWNER, SEAL)


def test_labels_and_owners_that_were_copied_bear_no_seal() -> None:
    stored = result_config_map(OWNER, a_hand_in(b"{}"), SEAL, name="out", location="out")
    assert belongs_to(stored, OWNER, SEAL)
    for key in ("digest", "summary", "output"):
        forged = copy.deepcopy(stored)
        forged["metadata"]["annotations"][f"quantum.io/{key}"] += "0"
        assert not belongs_to(forged, OWNER, SEAL), key
    elsewhere = copy.deepcopy(stored)
    elsewhere["metadata"]["name"] = "another"
    assert not belongs_to(elsewhere, OWNER, SEAL)
    assert not belongs_to(stored, OWNER, Seal(bytes(31) + b"x"))
