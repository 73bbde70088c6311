"""The project's own images, built from their own Dockerfiles with or without a registry.

Where no registry can be had, `python:3.11-slim` is made of Debian packages first (Debian 12's own Python is
3.11); the Dockerfiles are the same. Layers are kept in a store outside the checkout.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from deploy.images import BASE, NAMES, Engine, find_engine, revision
from e2e.cluster.isolation import Isolation
from localcluster.binaries import cache_root
from localcluster.progress import Report, step

_PACKAGES = "ca-certificates,netbase,python3,python3-pip,python3-venv,tzdata"
_DOCKERFILE = """\
FROM scratch
ADD base.tar /
RUN ln -sf python3 /usr/bin/python && rm -f /usr/lib/python3*/EXTERNALLY-MANAGED
CMD ["python3"]
"""


def build_images(isolation: Isolation | None, target: Path, report: Report) -> Path:
    """Build all images and return them as one docker-archive, in which they share their base.

    `target` is the archive's path.
    """
    engine = _without_registry(isolation, report) if isolation else find_engine()
    tags = []
    for name in NAMES:
        with step(report, f"Building the {name} image"):
            tags.append(engine.build(name, revision=revision()))
        report(f"  {tags[-1]}: {engine.size(tags[-1]) / 1e6:.0f} MB")
    with step(report, "Writing the images' archive"):
        _save(engine, tags, target)
    return target


def _save(engine: Engine, tags: list[str], target: Path) -> None:
    """buildah writes archives of one image only; podman reads the same store."""
    program = "podman" if Path(engine.program).name == "buildah" else engine.program
    several = [] if Path(program).name == "docker" else ["--multi-image-archive", "--quiet"]
    target.unlink(missing_ok=True)
    engine.run([program, *engine.options, "save", *several, "-o", str(target), *tags])


def _without_registry(isolation: Isolation, report: Report) -> Engine:
    root = cache_root() / "kind"
    key = sha256(f"{_PACKAGES}{_DOCKERFILE}".encode()).hexdigest()[:12]
    store = root / f"build-{key}"

    def run(command: Sequence[str]) -> str:
        return isolation.run(command, network=False)

    engine = Engine("/usr/bin/buildah", run, ("--root", str(store)))
    if not (store / ".complete").exists():
        _make_base(engine, root / f"python-{key}.tar", isolation.folder / "python-base", report)
        (store / ".complete").touch()
    return engine


def _make_base(engine: Engine, rootfs: Path, context: Path, report: Report) -> None:
    if not rootfs.exists():
        unfinished = rootfs.with_suffix(".unfinished.tar")
        paths = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("man", "doc", "locale")]
        options = ["--quiet", "--variant=minbase", f"--include={_PACKAGES}", *paths]
        with step(report, "Fetching the Debian packages of python:3.11-slim"):
            sources = [str(p) for p in Path("/etc/apt/sources.list.d").glob("debian.sources")]
            subprocess.run(["mmdebstrap", *options, "bookworm", str(unfinished), *sources], check=True)
        unfinished.replace(rootfs)
    with step(report, "Making python:3.11-slim"):
        context.mkdir()
        (context / "Dockerfile").write_text(_DOCKERFILE)
        (context / "base.tar").hardlink_to(rootfs) if _same_disk(context, rootfs) else _copy(rootfs, context)
        build = [engine.program, *engine.options, "build", "--isolation=chroot", "--pull-never", "--quiet"]
        engine.run([*build, "-t", BASE, str(context)])


def _same_disk(one: Path, other: Path) -> bool:
    return one.stat().st_dev == other.stat().st_dev


def _copy(rootfs: Path, context: Path) -> None:
    subprocess.run(["cp", str(rootfs), str(context / "base.tar")], check=True)
