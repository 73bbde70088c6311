"""The command lines of the control plane's components, and the files that they read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from localcluster.certificates import Authority, signing_key, write_secret
from localcluster.kubeconfig import write_kubeconfig
from localcluster.ports import LOOPBACK

SERVICE_RANGE = "10.96.0.0/16"
_FIRST_SERVICE = "10.96.0.1"
_ISSUER = "https://kubernetes.default.svc"
# Relative to the working folder that etcd and kube-apiserver share: nobody else can enter it, and no path
# is too long for a socket. Both programs insist on the form host:port, which becomes the file's name.
_ETCD_SOCKET = "unix://etcd.sock:0"
_ETCD_PEER_SOCKET = "unix://peer.sock:0"
_NOBODY = "http://localhost:1"

_AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a cluster keeps things. `private` is for its owner alone, `data` may lie in memory."""

    directory: Path
    data: Path

    @property
    def private(self) -> Path:
        """Certificates, keys and sockets."""
        return self.directory / "private"

    @property
    def logs(self) -> Path:
        """One file for each component."""
        return self.directory / "logs"

    @property
    def admin_kubeconfig(self) -> Path:
        """The kubeconfig of a cluster administrator."""
        return self.directory / "kubeconfig"

    def kubeconfig(self, component: str) -> Path:
        """The kubeconfig of a component."""
        return self.private / f"{component}.kubeconfig"


def write_credentials(layout: Layout, authority: Authority, server: str) -> None:
    """Make the cluster's certificates, keys and kubeconfigs."""
    private = layout.private
    (private / "ca.crt").write_bytes(authority.certificate)
    hosts = ("localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc")
    names = (*hosts, "kubernetes.default.svc.cluster.local", LOOPBACK, _FIRST_SERVICE)
    authority.server("kube-apiserver", names).write(private / "apiserver")
    authority.client("kube-apiserver-kubelet-client", ["system:masters"]).write(private / "kubelet-client")
    write_secret(private / "service-accounts.key", signing_key())
    write_kubeconfig(
        layout.admin_kubeconfig,
        server,
        authority.certificate,
        authority.client("kubernetes-admin", ["system:masters"]),
    )
    for component in ("kube-controller-manager", "kube-scheduler"):
        identity = authority.client(f"system:{component}")
        write_kubeconfig(layout.kubeconfig(component), server, authority.certificate, identity)


def etcd(binary: Path, layout: Layout) -> list[str]:
    """A single member on a UNIX socket. It never syncs to disk: its data does not outlive the process."""
    return [
        str(binary),
        "--name=local",
        f"--data-dir={layout.data}",
        f"--listen-client-urls={_ETCD_SOCKET}",
        f"--advertise-client-urls={_ETCD_SOCKET}",
        f"--listen-peer-urls={_ETCD_PEER_SOCKET}",
        f"--initial-advertise-peer-urls={_NOBODY}",
        f"--initial-cluster=local={_NOBODY}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def kube_apiserver(
    binary: Path,
    layout: Layout,
    port: int,
    *,
    audit_log: Path | None,
    service_accounts: bool,
    extra: Mapping[str, str],
) -> list[str]:
    """The API server. `extra` overrides flags by name.

    Without service accounts pods need no `default` account, for a cluster without controller-manager.
    """
    private = layout.private
    flags = {
        "etcd-servers": _ETCD_SOCKET,
        "bind-address": LOOPBACK,
        "secure-port": str(port),
        "permit-port-sharing": "true",
        "advertise-address": LOOPBACK,
        # There is no Service whose endpoints could be the loopback address.
        "endpoint-reconciler-type": "none",
        "tls-cert-file": f"{private}/apiserver.crt",
        "tls-private-key-file": f"{private}/apiserver.key",
        "client-ca-file": f"{private}/ca.crt",
        "service-account-issuer": _ISSUER,
        "service-account-key-file": f"{private}/service-accounts.key",
        "service-account-signing-key-file": f"{private}/service-accounts.key",
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        "service-cluster-ip-range": SERVICE_RANGE,
        "allow-privileged": "true",
        "kubelet-certificate-authority": f"{private}/ca.crt",
        "kubelet-client-certificate": f"{private}/kubelet-client.crt",
        "kubelet-client-key": f"{private}/kubelet-client.key",
        "kubelet-preferred-address-types": "InternalIP",
    }
    if not service_accounts:
        flags["disable-admission-plugins"] = "ServiceAccount"
    if audit_log is not None:
        policy = private / "audit-policy.yaml"
        policy.write_text(yaml.safe_dump(_AUDIT_POLICY))
        flags |= {"audit-log-path": str(audit_log), "audit-policy-file": str(policy)}
    return [str(binary), *(f"--{name}={value}" for name, value in (flags | dict(extra)).items())]


def kube_controller_manager(binary: Path, layout: Layout) -> list[str]:
    """All controllers: garbage collection, namespaces, service accounts, volumes and the rest."""
    kubeconfig = layout.kubeconfig("kube-controller-manager")
    return [
        str(binary),
        f"--kubeconfig={kubeconfig}",
        "--use-service-account-credentials",
        f"--root-ca-file={layout.private}/ca.crt",
        f"--service-account-private-key-file={layout.private}/service-accounts.key",
        "--leader-elect=false",
        # No port: nobody asks for its health, and what it does shows in the API.
        "--secure-port=0",
        # Jobs by the hundred end at once in tests and benchmarks; the defaults (20/s) would be their pace.
        "--kube-api-qps=200",
        "--kube-api-burst=400",
    ]


def kube_scheduler(binary: Path, layout: Layout) -> list[str]:
    """The default scheduler."""
    return [
        str(binary),
        f"--kubeconfig={layout.kubeconfig('kube-scheduler')}",
        "--leader-elect=false",
        "--secure-port=0",
        "--kube-api-qps=200",
        "--kube-api-burst=400",
    ]
