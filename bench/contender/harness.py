"""The side of a measured process that talks to the benchmark: lines of JSON out, words in.

    out  {"event": "done"}                     as many samples as expected have been finished
         {"event": "measured", ...}            the answer to `measure`
    in   measure | quit

Times are of the monotonic clock, which all processes of a machine share.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import ssl
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil

from kube import Configuration


class Journal:
    """What happened to each sample, and what it cost."""

    def __init__(self, expect: int) -> None:
        self._expect = expect
        self.began: dict[str, float] = {}
        self.posted: dict[str, float] = {}
        self.finished: dict[str, float] = {}
        self.passes = 0
        self._cpu_at_first: float | None = None
        self._cpu_at_last = 0.0

    def begin(self, name: str) -> None:
        """A pass at a sample that is to be done begins."""
        self.passes += 1
        if self._cpu_at_first is None:
            self._cpu_at_first = time.process_time()
        self.began.setdefault(name, time.monotonic())

    def post(self, name: str) -> None:
        """Its ConfigMap exists."""
        self.posted.setdefault(name, time.monotonic())

    def finish(self, name: str) -> None:
        """Its status says Done."""
        if name not in self.finished:
            self.finished[name] = time.monotonic()
            if len(self.finished) == self._expect:
                self._cpu_at_last = time.process_time()
                say("done", at=time.monotonic())

    def measure(self) -> None:
        """Say what was used and when things happened."""
        memory = psutil.Process().memory_full_info()
        say(
            "measured",
            cpu=time.process_time(),
            cpu_of_passes=self._cpu_at_last - (self._cpu_at_first or 0.0),
            rss=memory.rss,
            uss=memory.uss,
            passes=self.passes,
            began=self.began,
            posted=self.posted,
            finished=self.finished,
        )


def say(event: str, **data: Any) -> None:
    """Write one event to the benchmark."""
    sys.stdout.write(json.dumps({"event": event, **data}) + "\n")
    sys.stdout.flush()


def arguments() -> argparse.Namespace:
    """The arguments that every contender takes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kubeconfig", required=True)
    parser.add_argument("--server", required=True)
    parser.add_argument(
        "--credentials", type=Path, required=True, help="folder of ca.crt, client.crt, client.key"
    )
    parser.add_argument("--namespace", required=True)
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument("--expect", type=int, required=True)
    parser.add_argument("--style", default="")
    parser.add_argument("--validation-url", default="http://127.0.0.1:1")
    return parser.parse_args()


def configuration(options: argparse.Namespace) -> Configuration:
    """How the API server is reached: as in a pod, without the loader of kubeconfigs and its 38 MB."""
    context = ssl.create_default_context(cafile=options.credentials / "ca.crt")
    context.load_cert_chain(options.credentials / "client.crt", options.credentials / "client.key")
    return Configuration(options.server, context)


def listen(journal: Journal) -> None:
    """Answer the benchmark from a thread, so that no loop has to. `quit` ends the process on the spot."""

    def read() -> None:
        for line in sys.stdin:
            if line.strip() == "measure":
                journal.measure()
            elif line.strip() == "quit":
                os._exit(0)
        os._exit(0)

    threading.Thread(target=read, name="benchmark", daemon=True).start()


def run(work: Callable[[argparse.Namespace, Journal], Awaitable[None]]) -> None:
    """Run a contender until the benchmark says quit."""
    options = arguments()
    journal = Journal(options.expect)
    listen(journal)

    async def main() -> None:
        await work(options, journal)

    asyncio.run(main())
