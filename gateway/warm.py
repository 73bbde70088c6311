"""A warm pod's first call: it has loaded everything, has its token and reaches the gateway, so it is warm indeed."""

from __future__ import annotations

from datetime import datetime

import structlog

from api.names import ANNOTATION_WARM_SINCE, LABEL_ROLE, ROLE_WARM
from api.timestamps import format_time
from kube import PODS, ApiError, Client, Pod

log = structlog.get_logger("gateway")


async def note_warm(client: Client, pod: Pod, now: datetime) -> None:
    """Record on a pod of a pool that it waits, unless that is recorded already or it is no such pod.

    No kubelet could say so: a container that runs may still import for a second, and a probe would need a port,
    or a process in the pod each second. What cannot be written now is left to the pod's next call.
    """
    metadata = pod.metadata
    if metadata.labels.get(LABEL_ROLE) != ROLE_WARM or ANNOTATION_WARM_SINCE in metadata.annotations:
        return
    note = {ANNOTATION_WARM_SINCE: format_time(now.timestamp())}
    body = {"metadata": {"uid": metadata.uid, "annotations": note}}
    try:
        await client.merge_patch(PODS, metadata.name, body, metadata.namespace, type=Pod)
    except ApiError as error:
        log.warning("a warm pod could not be recorded", pod=metadata.name, reason=error.reason)
