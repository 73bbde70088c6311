"""The local node: a real Node object whose pods' containers run as processes of this machine.

It does a kubelet's work with a kubelet's rights: status and lease under `system:node:NAME`, pods bound to it,
tokens by TokenRequest, logs over TLS. There is no container file system: images are names that stand for
programs here, and paths reach a container through its environment (`localcluster.node.environment`).

What a kubelet does and this node does not: probes, exec, port-forward and attach, lifecycle hooks, CPU limits,
network policies and addresses of Services, read-only mounts, new content of ConfigMaps in running pods, and
times of log lines. Memory limits are looked at twenty times a second, not enforced by the kernel.
"""
