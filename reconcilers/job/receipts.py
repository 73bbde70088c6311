"""Reading a result's receipt: the annotations that the gateway put on the ConfigMap. Pure."""

from __future__ import annotations

import msgspec

from api.names import (
    ANNOTATION_DIGEST,
    ANNOTATION_OUTPUT,
    ANNOTATION_SUMMARY,
    LABEL_JOB_UID,
    LABEL_MANAGED_BY,
    LABEL_ROLE,
    MANAGED_BY,
    ROLE_RESULT,
)
from api.naming import output_name, receipt_name
from api.seal import Seal
from api.views import QiskitJob
from kube import PartialObject
from messages.unreadable import UNREADABLE
from messages.work import Summary


def result_names(job: QiskitJob) -> tuple[str, ...]:
    """The names of the ConfigMaps that a result, or the receipt of one on a volume, may be stored in."""
    receipt = receipt_name(job.metadata.uid)
    if job.spec.output.type == "pvc":
        return (receipt,)
    return (output_name(job.metadata.name, job.metadata.uid, job.spec.output.location), receipt)


def is_result_of(stored: PartialObject, job: QiskitJob, seal: Seal) -> bool:
    """Whether a ConfigMap holds a result of this very job, where its results may be, stored by a gateway."""
    metadata = stored.metadata
    return (
        metadata.namespace == job.metadata.namespace
        and metadata.name in result_names(job)
        and metadata.labels.get(LABEL_MANAGED_BY) == MANAGED_BY
        and metadata.labels.get(LABEL_ROLE) == ROLE_RESULT
        and metadata.labels.get(LABEL_JOB_UID) == job.metadata.uid
        and seal.fits(metadata.namespace, metadata.name, metadata.labels, metadata.annotations)
    )


def location_of(stored: PartialObject) -> str:
    """Where the result is, in the words of `status.results.location`."""
    return stored.metadata.annotations.get(ANNOTATION_OUTPUT) or stored.metadata.name


def digest_of(stored: PartialObject) -> str | None:
    """The digest of the result document."""
    return stored.metadata.annotations.get(ANNOTATION_DIGEST)


def summary_of(stored: PartialObject) -> Summary | None:
    """The short account; None if it is missing or of a release that wrote it otherwise."""
    text = stored.metadata.annotations.get(ANNOTATION_SUMMARY)
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=Summary)
    except UNREADABLE:
        return None
