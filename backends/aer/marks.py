"""Whether a pod that the cluster took has kept its marks: labels and owner, which an admission webhook may change.

By these the caches follow it, the gateway knows whose it is, and the NetworkPolicy holds it. A pod without them would
run unseen and unguarded, and another one would be made in its place, again and again.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from api.reasons import Reason
from backends.errors import Refused
from kube import PODS, Client, Conflict, NotFound, Pod


async def see_to_marks(client: Client, body: dict[str, Any], made: Pod) -> None:
    """Take a pod back that did not become what `body` said.

    Raises:
        Refused: if it did not.
        kube.ApiError: if it could not be taken back.
    """
    changed = _changed(body["metadata"], made)
    if not changed:
        return
    metadata = made.metadata
    with suppress(NotFound, Conflict):  # gone, or another pod of its name
        await client.delete(PODS, metadata.name, metadata.namespace, uid=metadata.uid)
    raise Refused(
        Reason.POD_REJECTED,
        f"the cluster changed {', '.join(changed)} of pod {metadata.name} when it was made: have the admission "
        "webhook that does so leave out the pods that qiskit-operator makes",
    )


def _changed(wanted: dict[str, Any], made: Pod) -> list[str]:
    labels, controller = made.metadata.labels, made.metadata.controller
    changed = [f"label {name}" for name, value in wanted["labels"].items() if labels.get(name) != value]
    [owner] = wanted["ownerReferences"]
    if controller is None or controller.uid != owner["uid"]:
        changed.append("ownerReferences")
    return changed
