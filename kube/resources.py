"""The kinds that this project reads and writes, and their paths at the API server."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

from api.names import GROUP, VERSION
from kube.errors import Invalid

_PLAIN = re.compile(r"[a-zA-Z0-9.-]+").fullmatch


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of the Kubernetes API. `group` is empty for the core API."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """As `apiVersion` writes it: `v1` or `group/version`."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(
        self, namespace: str | None = None, name: str | None = None, subresource: str | None = None
    ) -> str:
        """The URL path of the collection, of one object, or of an object's subresource.

        Without a namespace, a namespaced resource's collection is that of all namespaces.

        Raises:
            Invalid: if a name would make it the path of something else.
        """
        parts = ["/apis", self.group, self.version] if self.group else ["/api", self.version]
        if self.namespaced and namespace is not None:
            parts += ["namespaces", _segment(namespace)]
        parts.append(self.plural)
        if name is not None:
            parts.append(_segment(name))
        if subresource is not None:
            parts.append(subresource)
        return "/".join(parts)


def _segment(name: str) -> str:
    # Names come out of users' specs. An empty one would turn the deletion of an object into that of all,
    # and two dots would lead up to another resource.
    if name in ("", ".", ".."):
        raise Invalid(422, "Invalid", f"{name!r} is not a name")
    return name if _PLAIN(name) else quote(name, safe="")


PODS = Resource("", "v1", "pods", "Pod")
CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
SECRETS = Resource("", "v1", "secrets", "Secret")
SERVICES = Resource("", "v1", "services", "Service")
SERVICE_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")
PERSISTENT_VOLUME_CLAIMS = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
PERSISTENT_VOLUMES = Resource("", "v1", "persistentvolumes", "PersistentVolume", namespaced=False)
NODES = Resource("", "v1", "nodes", "Node", namespaced=False)
NAMESPACES = Resource("", "v1", "namespaces", "Namespace", namespaced=False)
EVENTS = Resource("", "v1", "events", "Event")
EVENTS_V1 = Resource("events.k8s.io", "v1", "events", "Event")
LEASES = Resource("coordination.k8s.io", "v1", "leases", "Lease")
NETWORK_POLICIES = Resource("networking.k8s.io", "v1", "networkpolicies", "NetworkPolicy")
PRIORITY_CLASSES = Resource("scheduling.k8s.io", "v1", "priorityclasses", "PriorityClass", namespaced=False)
TOKEN_REVIEWS = Resource("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", namespaced=False)
CRDS = Resource(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
QISKIT_JOBS = Resource(GROUP, VERSION, "qiskitjobs", "QiskitJob")
QISKIT_BACKENDS = Resource(GROUP, VERSION, "qiskitbackends", "QiskitBackend")
