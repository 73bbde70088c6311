"""A kind cluster for the suite, with Docker or without.

With Docker, kind's stock node image is used. Without, and as root on Linux with cgroup v1, the node image is
built from Go modules and Debian packages, and kind runs in namespaces of its own:

    programs.py       kind, coredns, the storage provisioner and pause, from Go modules
    packages.py       the Debian packages that this needs, installed or named
    archive.py        container images written as an archive, without an engine
    system_images.py  the images that kubeadm and kind expect inside a node
    node_image.py     the node image, kept in a store outside the checkout
    isolation.py      private namespaces and cgroups; whatever happens, nothing of them stays
    kind.py           create, load images, delete
"""
