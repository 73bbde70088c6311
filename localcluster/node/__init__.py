"""The local node: a real Node object whose pods' containers run as processes of this machine.

It does a kubelet's work with a kubelet's rights: status and lease under `system:node:NAME`, pods bound to it,
tokens by TokenRequest, logs over TLS. What it lacks is a container file system: images are names that stand
for programs here, and paths reach a container through its environment (`localcluster.node.environment`).
"""
