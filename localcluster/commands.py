"""What `python -m localcluster up|down|status|demo|binaries` does."""

from __future__ import annotations

import argparse
import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from localcluster import background
from localcluster.binaries import ensure_binaries
from localcluster.cluster import EXPECTED_FAILURES
from localcluster.demo import run_demo
from localcluster.demo_jobs import EXAMPLE_NAMES
from localcluster.home import DEFAULT, Home
from localcluster.picture import recorder, save
from localcluster.progress import to_stderr
from localcluster.versions import CONTROL_PLANE, NODE_IMAGE


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    arguments = _parser().parse_args(argv)
    # Lines are left whole, so that a path can be copied; only the demo draws tables.
    console = Console(highlight=False, soft_wrap=arguments.command != "demo")
    home = Home(arguments.folder.resolve())
    try:
        return _run(arguments, home, console)
    except EXPECTED_FAILURES as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        # What comes now is over in a moment; another Ctrl-C would only make a traceback of it.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        console.print(f"Interrupted; {_left(arguments.command, home)}.", markup=False, soft_wrap=True)
        return 130


def _left(command: str, home: Home) -> str:
    """What an interrupted command leaves behind."""
    if command in ("up", "down", "status") and home.taken():
        return f"the cluster in {home.folder} has not ended, `make down` ends it"
    return "nothing is left running"


def _run(arguments: argparse.Namespace, home: Home, console: Console) -> int:
    match arguments.command:
        case "up":
            return background.up(home, console)
        case "down":
            return background.down(home, console)
        case "status":
            return asyncio.run(background.status(home, console))
        case "demo":
            if unknown := set(arguments.examples) - set(EXAMPLE_NAMES):
                console.print(
                    f"No example {', '.join(sorted(unknown))}; there are {', '.join(EXAMPLE_NAMES)}."
                )
                return 2
            # Here rather than in a thread of the demo's own: Ctrl-C ends a build, or the wait for somebody else's.
            needed = [each for each in CONTROL_PLANE if each.name == "kubectl" or not arguments.kubeconfig]
            ensure_binaries(needed, to_stderr)
            if arguments.picture:
                console = recorder()
            code = asyncio.run(run_demo(console, arguments.kubeconfig, arguments.examples))
            if arguments.picture:
                save(console, arguments.picture, "make demo")
            return code
        case _:
            wanted = (*CONTROL_PLANE, *NODE_IMAGE) if arguments.node_image else CONTROL_PLANE
            for path in ensure_binaries(wanted, to_stderr).values():
                console.print(str(path))
            return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m localcluster",
        description="A real Kubernetes on this machine, with the operator on it.",
    )
    parser.add_argument(
        "--folder", type=Path, default=DEFAULT, help="where `up` keeps its cluster (default: %(default)s)"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start control plane, node and operator in the background")
    commands.add_parser("down", help="end what `up` started, and remove it")
    commands.add_parser("status", help="what runs")
    demo = commands.add_parser("demo", help="run the examples on a cluster made for it, and check the counts")
    demo.add_argument("examples", nargs="*", metavar="EXAMPLE", help=f"some of {', '.join(EXAMPLE_NAMES)}")
    demo.add_argument(
        "--kubeconfig", type=Path, help="use this cluster instead; its operator has to be there"
    )
    demo.add_argument("--picture", type=Path, metavar="SVG", help="also draw what is printed into this file")
    binaries = commands.add_parser(
        "binaries", help="have the programs of the control plane, built if need be"
    )
    binaries.add_argument("--node-image", action="store_true", help="also what a kind node image needs")
    return parser
