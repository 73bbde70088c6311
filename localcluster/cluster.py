"""The whole local cluster: control plane, node, the project's kinds and rights, and the operator running."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from kube import Client, load_configuration
from localcluster.binaries import CacheUnusable
from localcluster.bytecode import compile_packages
from localcluster.controlplane import ControlPlane, StartFailed
from localcluster.gobuild import BuildFailed
from localcluster.gotoolchain import NoToolchain
from localcluster.kubectl import Kubectl, KubectlFailed
from localcluster.manifests import install
from localcluster.node.settings import NodeSettings
from localcluster.node.start import LocalNode
from localcluster.operator_pods import OperatorPorts, keep_operator, start_operator
from localcluster.platform import Unsupported
from localcluster.progress import Report, silent

EXPECTED_FAILURES = (StartFailed, Unsupported, BuildFailed, NoToolchain, CacheUnusable, KubectlFailed)
"""What can keep a cluster from starting, each with a message for a person."""


@dataclass(frozen=True)
class LocalCluster:
    """A cluster that takes QiskitJobs. Made by `LocalCluster.start`."""

    plane: ControlPlane
    node: LocalNode
    kubectl: Kubectl
    ports: OperatorPorts

    @classmethod
    @asynccontextmanager
    async def start(
        cls, directory: Path | None = None, *, settings: NodeSettings | None = None, report: Report = silent
    ) -> AsyncIterator[LocalCluster]:
        """Start everything, in the order in which one thing needs the other; it ends with the block.

        `directory` as for `ControlPlane.start`. Raises one of `EXPECTED_FAILURES`.
        """
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(compile_packages())
                    report("Starting etcd, kube-apiserver, kube-controller-manager and kube-scheduler ...")
                    plane = await stack.enter_async_context(ControlPlane.start(directory, report=report))
                    report("Starting the node; installing the kinds and the operator's rights ...")
                    kubectl = Kubectl(plane.binaries["kubectl"], plane.kubeconfig)
                    group.create_task(install(kubectl))
                    node = await stack.enter_async_context(LocalNode.start(plane, settings))
            except ExceptionGroup as failures:
                # One cause is what a person can act on; what else failed followed from it.
                raise failures.exceptions[0] from None
            if node.shortcoming:
                report(f"Note: {node.shortcoming}.")
            report("Starting the operator ...")
            configuration = await load_configuration(str(plane.kubeconfig))
            async with Client(configuration, user_agent="qiskit-local") as client:
                ports = await start_operator(client, plane)
                keeping = asyncio.create_task(keep_operator(client, ports, report), name="operator's pods")
                try:
                    yield cls(plane, node, kubectl, ports)
                finally:
                    keeping.cancel()
                    await asyncio.wait({keeping})
