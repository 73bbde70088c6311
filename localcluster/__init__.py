"""A real Kubernetes on this machine: a control plane as child processes, and a node that runs pods as such.

    async with ControlPlane.start() as cluster:      # localcluster.controlplane
        async with LocalNode.start(cluster) as node:  # localcluster.node

`python -m localcluster` is the same as a command. Nothing here imitates Kubernetes: etcd, kube-apiserver,
kube-controller-manager and kube-scheduler are the released sources, and the node talks to them as a kubelet
does.
"""
