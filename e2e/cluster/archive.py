"""Container images as a docker-archive, written with the standard library: no engine, no network.

The format is the one of `docker save`: for each image a config named by its SHA-256 and its layers as tar
files, and one manifest.json that lists them.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

_EPOCH = "2026-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class Image:
    """One image of one layer. `files` maps a path in the image to a file here; `links` to a link's target."""

    tag: str
    files: dict[str, Path] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    entrypoint: tuple[str, ...] = ()
    user: str = ""


def write_archive(images: list[Image], target: Path) -> None:
    """Write all images into one archive at `target`."""
    manifest: list[dict[str, Any]] = []
    with tarfile.open(target, "w") as archive:
        for number, image in enumerate(images):
            layer = target.with_name(f"{target.name}.layer-{number}")
            try:
                digest = _write_layer(image, layer)
                config = json.dumps(_config(image, digest)).encode()
                config_name = f"{hashlib.sha256(config).hexdigest()}.json"
                layer_name = f"{number:02d}-{digest}/layer.tar"
                _add(archive, config_name, io.BytesIO(config), len(config), 0o644)
                with layer.open("rb") as content:
                    _add(archive, layer_name, content, layer.stat().st_size, 0o644)
            finally:
                layer.unlink(missing_ok=True)
            manifest.append({"Config": config_name, "RepoTags": [image.tag], "Layers": [layer_name]})
        text = json.dumps(manifest).encode()
        _add(archive, "manifest.json", io.BytesIO(text), len(text), 0o644)


def _write_layer(image: Image, target: Path) -> str:
    with tarfile.open(target, "w") as layer:
        made: set[str] = set()
        _folder(layer, made, "tmp", 0o1777)
        for path, source in sorted(image.files.items()):
            _parents(layer, made, path)
            # Follow links here: an image must not point at files of this machine.
            resolved = source.resolve()
            with resolved.open("rb") as content:
                _add(
                    layer, path.lstrip("/"), content, resolved.stat().st_size, resolved.stat().st_mode & 0o777
                )
        for path, link in sorted(image.links.items()):
            _parents(layer, made, path)
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.type, entry.linkname = tarfile.SYMTYPE, link
            layer.addfile(entry)
    with target.open("rb") as written:
        return hashlib.file_digest(written, "sha256").hexdigest()


def _config(image: Image, layer_digest: str) -> dict[str, Any]:
    return {
        "architecture": "amd64",
        "os": "linux",
        "created": _EPOCH,
        "config": {
            "Entrypoint": list(image.entrypoint) or None,
            "User": image.user,
            "Env": ["PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "WorkingDir": "/",
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
        "history": [{"created": _EPOCH}],
    }


def _parents(layer: tarfile.TarFile, made: set[str], path: str) -> None:
    for parent in reversed(Path(path.lstrip("/")).parents):
        _folder(layer, made, str(parent), 0o755)


def _folder(layer: tarfile.TarFile, made: set[str], path: str, mode: int) -> None:
    if path in made or path == ".":
        return
    made.add(path)
    entry = tarfile.TarInfo(path)
    entry.type, entry.mode = tarfile.DIRTYPE, mode
    layer.addfile(entry)


def _add(archive: tarfile.TarFile, name: str, content: IO[bytes], size: int, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, mode
    archive.addfile(entry, content)
