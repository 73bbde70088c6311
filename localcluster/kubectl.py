"""Runs kubectl against one cluster."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from localcluster.binaries import cache_root


class KubectlFailed(RuntimeError):
    """kubectl ended with an error; the message is what it said."""


class Kubectl:
    """The kubectl program and the kubeconfig of the cluster that it talks to."""

    def __init__(self, binary: Path, kubeconfig: Path) -> None:
        self.binary = binary
        self.kubeconfig = kubeconfig

    async def __call__(self, *arguments: str | Path, stdin: str | None = None) -> str:
        """Run `kubectl <arguments>` and return what it printed. Raises `KubectlFailed`."""
        process = await asyncio.create_subprocess_exec(
            self.binary,
            f"--kubeconfig={self.kubeconfig}",
            *arguments,
            # Without a home kubectl would keep what it knows of the API in the folder that it is started in.
            env={"KUBECACHEDIR": str(cache_root() / "kubectl")} | os.environ | {"KUBECTL_KUBERC": "false"},
            stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            # A terminal's Ctrl-C goes to the whole group. This process is interrupted by it and ends kubectl;
            # a kubectl that ended by itself would look like one that failed.
            start_new_session=True,
        )
        try:
            printed, complaint = await process.communicate(None if stdin is None else stdin.encode())
        except BaseException:
            if process.returncode is None:
                process.kill()
            raise
        if process.returncode != 0:
            raise KubectlFailed(f"kubectl {' '.join(map(str, arguments))}: {complaint.decode().strip()}")
        return printed.decode()
