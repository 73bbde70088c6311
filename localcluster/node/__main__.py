"""Runs a node until SIGTERM: `python -m localcluster.node FOLDER`, started by `localcluster.node.start`."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from pathlib import Path

import msgspec

from localcluster.node.agent import Agent
from localcluster.node.credentials import Credentials
from localcluster.node.settings import NodeSettings
from localcluster.node.start import PRIVATE, READY, SETTINGS
from localcluster.stopping import run_until


async def _keep(directory: Path) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await run_until(_run(directory), stop)


async def _run(directory: Path) -> None:
    settings = msgspec.json.decode((directory / SETTINGS).read_bytes(), type=NodeSettings)
    async with Agent.run(Credentials(directory / PRIVATE), directory, settings) as agent:
        if shortcoming := agent.host.shortcoming:
            logging.warning("This node's pods: %s.", shortcoming)
        (directory / READY).write_text(agent.host.shortcoming or "")
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    asyncio.run(_keep(Path(sys.argv[1])))
