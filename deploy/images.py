"""Builds the three images with whichever engine is there: `python -m deploy.images` (or `make images`).

docker, podman and buildah build the same Dockerfiles. `--archive DIR` also writes one docker-archive an image,
as `kind load image-archive` takes it. What a machine needs to reach its package registries (a CA bundle, pip's
configuration) is mounted for the time of the build and never becomes part of an image.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from messages.version import VERSION

ROOT = Path(__file__).parent.parent
BASE = "docker.io/library/python:3.11-slim"
NAMES = {"controller": "controller", "executor": "executor_image", "validation": "validation_image"}
"""Image to the folder that holds its Dockerfile; the repository's root is the build context of each."""

_CA_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
_PIP_CONFIG = Path("/etc/pip.conf")

Run = Callable[[Sequence[str]], str]
"""Runs a command and returns its output; raises if it fails."""


@dataclass(frozen=True, slots=True)
class Engine:
    """docker, podman or buildah, and how it is called."""

    program: str
    run: Run
    options: tuple[str, ...] = ()

    def build(self, name: str, *, revision: str) -> str:
        """Build one image and return its tag."""
        tag = image_tag(name)
        arguments = ["--build-arg", f"VERSION={VERSION}", "--build-arg", f"REVISION={revision}"]
        file = str(ROOT / NAMES[name] / "Dockerfile")
        self.run([*self._build_command(), *arguments, "-t", tag, "-f", file, str(ROOT)])
        return tag

    def size(self, tag: str) -> int:
        """Bytes of the image, uncompressed."""
        if Path(self.program).name == "buildah":
            said = self.run([self.program, *self.options, "images", "--json", tag])
            return _bytes(json.loads(said)[0]["size"])
        return int(self.run([self.program, "image", "inspect", "--format", "{{.Size}}", tag]))

    def archive(self, tag: str, target: Path) -> None:
        """Write the image as a docker-archive."""
        target.unlink(missing_ok=True)
        if Path(self.program).name == "buildah":
            self.run([self.program, *self.options, "push", "-q", tag, f"docker-archive:{target}:{tag}"])
        else:
            self.run([self.program, "save", "-o", str(target), tag])

    def _build_command(self) -> list[str]:
        if Path(self.program).name == "docker":
            return [self.program, "build"]
        mounts = [f"-v={path}:{path}:ro" for path in (_CA_BUNDLE, _PIP_CONFIG) if path.exists()]
        command = [self.program, *self.options, "build", *mounts]
        # Without a container engine's privileges a build still works in a chroot.
        if Path(self.program).name != "buildah":
            return command
        return [*command, "--isolation=chroot", "--layers", "--pull=missing"]


def image_tag(name: str) -> str:
    """`qiskit-operator/<name>:<version>`, as the manifests name it."""
    return f"docker.io/qiskit-operator/{name}:{VERSION}"


def find_engine() -> Engine:
    """The first engine that answers.

    Raises:
        SystemExit: if there is none; the message says what to install.
    """
    for name, question in (("docker", ["info"]), ("podman", ["info"]), ("buildah", ["version"])):
        program = shutil.which(name)
        if program is None:
            continue
        if subprocess.run([program, *question], capture_output=True, check=False).returncode == 0:
            return Engine(program, run)
    raise SystemExit("No engine to build images with: install docker, podman or buildah.")


def run(command: Sequence[str]) -> str:
    """Run a command; on failure show what it said."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sys.stderr.write(done.stdout[-4000:] + done.stderr[-4000:])
        raise SystemExit(f"{' '.join(command[:3])} … ended with {done.returncode}")
    return done.stdout


def revision() -> str:
    """The commit that the images are built from, with `-dirty` if there are changes beside it."""
    said = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return said.stdout.strip() or "unknown"


def main(arguments: Sequence[str] | None = None) -> None:
    """Build, and say what came out."""
    parser = argparse.ArgumentParser(
        prog="python -m deploy.images", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("names", nargs="*", choices=[*NAMES, []], help="which images (default: all)")
    parser.add_argument("--archive", type=Path, metavar="DIR", help="also write DIR/<name>.tar")
    options = parser.parse_args(arguments)
    engine = find_engine()
    commit = os.environ.get("REVISION") or revision()
    for name in options.names or NAMES:
        print(f"building {name} with {Path(engine.program).name} …", flush=True)
        tag = engine.build(name, revision=commit)
        print(f"  {tag}: {engine.size(tag) / 1e6:.0f} MB", flush=True)
        if options.archive:
            options.archive.mkdir(parents=True, exist_ok=True)
            engine.archive(tag, options.archive / f"{name}.tar")


def _bytes(text: str) -> int:
    """`345 MB` as buildah prints it."""
    number, _, unit = text.partition(" ")
    factors = {"B": 1, "bytes": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}
    return int(float(number) * factors[unit])


if __name__ == "__main__":
    main()
