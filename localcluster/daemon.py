"""The process behind `up`: keeps a cluster running until SIGTERM. `python -m localcluster.daemon FOLDER LOCK`.

LOCK is the descriptor of the folder's locked file, as `up` has handed it down.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from localcluster.certificates import write_secret
from localcluster.cluster import EXPECTED_FAILURES, LocalCluster
from localcluster.home import Home, State
from localcluster.ports import LOOPBACK
from localcluster.progress import to_stderr
from localcluster.stopping import run_until


async def keep(home: Home) -> None:
    """Start a cluster in `home`, say when it is ready, and end it on SIGTERM, however far it has come."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await run_until(_run(home), stop)


async def _run(home: Home) -> None:
    async with LocalCluster.start(home.cluster, report=to_stderr) as cluster:
        write_secret(home.kubeconfig, cluster.plane.kubeconfig.read_bytes())
        state = State(
            server=cluster.plane.server,
            kubectl=str(cluster.kubectl.binary),
            metrics=f"http://{LOOPBACK}:{cluster.ports.metrics}/metrics",
            started=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            shortcoming=cluster.node.shortcoming,
        )
        unfinished = home.state_file.with_suffix(".unfinished")
        unfinished.write_bytes(msgspec.json.encode(state))
        unfinished.replace(home.state_file)
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            home.state_file.unlink(missing_ok=True)
            home.kubeconfig.unlink(missing_ok=True)


def main() -> int:
    """Keep the folder's cluster; the exit code."""
    home = Home(Path(sys.argv[1]))
    with os.fdopen(int(sys.argv[2]), "r+") as lock:
        # The lock is this process's alone: whoever outlives it must not seem to be the folder's owner.
        os.set_inheritable(lock.fileno(), False)
        try:
            asyncio.run(keep(home))
        except EXPECTED_FAILURES as error:
            to_stderr(str(error))
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
