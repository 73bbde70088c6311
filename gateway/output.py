"""The object that a result becomes: pure construction, no I/O.

A ConfigMap holds at most 1 MiB of data. A document of more than `PLAIN_LIMIT` is stored compressed, and what
is too large even then is refused with what to do about it.
"""

from __future__ import annotations

import base64
import gzip
from dataclasses import dataclass
from typing import Any

import msgspec

from api.names import (
    ANNOTATION_DIGEST,
    ANNOTATION_OUTPUT,
    ANNOTATION_SEAL,
    ANNOTATION_SUMMARY,
    API_VERSION,
    LABEL_ATTEMPT,
    LABEL_JOB_NAME,
    LABEL_JOB_UID,
    LABEL_MANAGED_BY,
    LABEL_ROLE,
    MANAGED_BY,
    RESULT_KEY,
    RESULT_KEY_COMPRESSED,
    ROLE_RESULT,
)
from api.naming import label_value
from api.seal import Seal
from messages.work import HandIn, Summary

DATA_LIMIT = 1 << 20
"""Bytes that the API server takes as a ConfigMap's data, keys included (Kubernetes' own limit)."""

PLAIN_LIMIT = 256 << 10
"""Above this a document is compressed: `kubectl get -o yaml` of more is no pleasure, and etcd keeps it."""

COMPRESSION = 6
"""zlib's level. Bit strings are its worst case: at level 9 it takes 13 s for 100,000 outcomes of 60 bits, at
level 6 half a second, for a result that is a tenth larger."""

SUMMARY_LIMIT = 32 << 10
"""Bytes of a summary: it travels with every informer event. A longer one loses its gate types, then the rarest
of its outcomes: all of them are in the document."""


class TooLarge(Exception):
    """The result does not fit; the message says how large it is and what to do."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The job that a result belongs to. `retain`: the result outlives the job, so it has no owner reference."""

    name: str
    namespace: str
    uid: str
    attempt: int
    retain: bool


def result_config_map(
    owner: Owner, hand_in: HandIn, seal: Seal, *, name: str, location: str
) -> dict[str, Any]:
    """The ConfigMap for a hand-in. Without a document (a result on a volume) it is a receipt.

    Raises:
        TooLarge: if the data would exceed what a ConfigMap can hold.
    """
    data: dict[str, str] = {}
    binary: dict[str, bytes] = {}
    document = hand_in.document
    if len(document) > PLAIN_LIMIT:
        binary[RESULT_KEY_COMPRESSED] = gzip.compress(document, COMPRESSION, mtime=0)
    elif document:
        data[RESULT_KEY] = document.decode("utf-8")
    for key, value in hand_in.extras.items():
        _put(data, binary, key, value)
    size = sum(len(k) + len(v.encode()) for k, v in data.items()) + sum(
        len(k) + len(v) for k, v in binary.items()
    )
    if size > DATA_LIMIT:
        raise TooLarge(
            f"the result takes {_mebibytes(size)} even compressed, and a ConfigMap holds 1 MiB; "
            "use spec.output.type pvc, measure fewer qubits, or take fewer shots"
        )
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": owner.namespace,
        "labels": {
            LABEL_MANAGED_BY: MANAGED_BY,
            LABEL_ROLE: ROLE_RESULT,
            LABEL_JOB_UID: owner.uid,
            LABEL_JOB_NAME: label_value(owner.name),
            LABEL_ATTEMPT: str(owner.attempt),
        },
        "annotations": {
            ANNOTATION_DIGEST: hand_in.digest,
            ANNOTATION_OUTPUT: location,
            ANNOTATION_SUMMARY: _encode_summary(hand_in.summary),
        },
    }
    annotations = metadata["annotations"]
    annotations[ANNOTATION_SEAL] = seal.of(owner.namespace, name, metadata["labels"], annotations)
    if not owner.retain:
        metadata["ownerReferences"] = [
            {
                "apiVersion": API_VERSION,
                "kind": "QiskitJob",
                "name": owner.name,
                "uid": owner.uid,
                "controller": True,
                "blockOwnerDeletion": False,
            }
        ]
    body: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "immutable": True}
    if data:
        body["data"] = data
    if binary:
        body["binaryData"] = {key: base64.b64encode(value).decode("ascii") for key, value in binary.items()}
    return body


def belongs_to(config_map: dict[str, Any], owner: Owner, seal: Seal) -> bool:
    """Whether a ConfigMap that is already there is a result of this very job, stored by a gateway."""
    metadata = config_map.get("metadata", {})
    labels, annotations = metadata.get("labels") or {}, metadata.get("annotations") or {}
    return (
        labels.get(LABEL_ROLE) == ROLE_RESULT
        and labels.get(LABEL_JOB_UID) == owner.uid
        and seal.fits(owner.namespace, metadata.get("name", ""), labels, annotations)
    )


def is_same(config_map: dict[str, Any], owner: Owner, seal: Seal, digest: str) -> bool:
    """Whether a ConfigMap that is already there is this very result: same job, same attempt, same bytes."""
    metadata = config_map.get("metadata", {})
    labels = metadata.get("labels") or {}
    annotations = metadata.get("annotations") or {}
    return (
        belongs_to(config_map, owner, seal)
        and labels.get(LABEL_ATTEMPT) == str(owner.attempt)
        and annotations.get(ANNOTATION_DIGEST) == digest
    )


def _put(data: dict[str, str], binary: dict[str, bytes], key: str, value: bytes) -> None:
    try:
        data[key] = value.decode("utf-8")
    except UnicodeDecodeError:
        binary[key] = value


def _encode_summary(summary: Summary) -> str:
    encoded = msgspec.json.encode(summary)
    if len(encoded) > SUMMARY_LIMIT:
        circuit = msgspec.structs.replace(summary.circuit, gate_types={})
        summary = msgspec.structs.replace(summary, circuit=circuit)
        encoded = msgspec.json.encode(summary)
    while len(encoded) > SUMMARY_LIMIT and summary.top_counts:
        fewer = dict(list(summary.top_counts.items())[:-1])
        summary = msgspec.structs.replace(summary, top_counts=fewer)
        encoded = msgspec.json.encode(summary)
    if len(encoded) > SUMMARY_LIMIT:
        raise TooLarge(f"the summary takes {_mebibytes(len(encoded))}; the circuit's name is too long")
    return encoded.decode("utf-8")


def _mebibytes(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB"
