"""The operator's seal on results and kept sources: what shows that the operator stored them, and nobody else.

Whoever may create ConfigMaps in a namespace can copy labels and owner references, and could so make up a
result or a source. The seal is a message authentication code over everything that is believed of it, under a key that
only the operator's replicas have (it lies in the Secret of the gateway's authority).
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from api.names import (
    ANNOTATION_DIGEST,
    ANNOTATION_OUTPUT,
    ANNOTATION_REVISION,
    ANNOTATION_SEAL,
    ANNOTATION_SUMMARY,
    LABEL_ATTEMPT,
    LABEL_JOB_UID,
)

KEY_BYTES = 32


class Seal:
    """Makes and checks seals. One key for all replicas, for the life of the installation."""

    def __init__(self, key: bytes) -> None:
        if len(key) < KEY_BYTES:
            raise ValueError(f"the key of the seal has {len(key)} bytes, and needs {KEY_BYTES}")
        self._key = key

    def of(self, namespace: str, name: str, labels: Mapping[str, str], annotations: Mapping[str, str]) -> str:
        """The seal for a ConfigMap of this name with these labels and annotations, as hexadecimal digits."""
        fields = [
            namespace,
            name,
            labels.get(LABEL_JOB_UID, ""),
            labels.get(LABEL_ATTEMPT, ""),
            annotations.get(ANNOTATION_DIGEST, ""),
            annotations.get(ANNOTATION_OUTPUT, ""),
            annotations.get(ANNOTATION_SUMMARY, ""),
            annotations.get(ANNOTATION_REVISION, ""),
        ]
        # Lengths keep what belongs to one field from passing for a part of the next.
        message = b"".join(b"%d:%s," % (len(field), field) for field in map(str.encode, fields))
        return hmac.digest(self._key, message, "sha256").hex()

    def fits(
        self, namespace: str, name: str, labels: Mapping[str, str], annotations: Mapping[str, str]
    ) -> bool:
        """Whether these annotations bear the seal that belongs to them."""
        borne = annotations.get(ANNOTATION_SEAL, "")
        return hmac.compare_digest(borne.encode(), self.of(namespace, name, labels, annotations).encode())
