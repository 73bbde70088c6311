"""Where the control plane's programs come from, and that two builders do not meet."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from localcluster import versions
from localcluster.binaries import cache_root, ensure_binaries
from localcluster.gobuild import BuildFailed
from localcluster.versions import Binary, fingerprint

ROOT = Path(__file__).parents[2]
API_SERVER = next(binary for binary in versions.CONTROL_PLANE if binary.name == "kube-apiserver")

needs_go = pytest.mark.skipif(shutil.which("go") is None, reason="there is no Go here")


@pytest.fixture
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Only the cache and a build are left."""
    monkeypatch.delenv("KUBEBUILDER_ASSETS", raising=False)


def pretend(path: Path, says: str) -> Path:
    """A program that says which version it is."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho {says}\n")
    path.chmod(0o755)
    return path


def module(folder: Path, source: str) -> Binary:
    """A Go program of one file, as a module of its own."""
    folder.mkdir()
    (folder / "go.mod").write_text("module hello\n\ngo 1.21\n")
    (folder / "main.go").write_text(source)
    return Binary("hello-of-the-tests", str(folder), "hello", accepted="none")


HELLO = 'package main\n\nfunc main() { println("hello") }\n'


def test_assets_of_the_right_version_are_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asset = pretend(tmp_path / "assets" / "kube-apiserver", "Kubernetes v1.34.9")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(asset.parent))
    assert ensure_binaries([API_SERVER], root=tmp_path / "cache") == {"kube-apiserver": asset}
    assert not (tmp_path / "cache").exists()


def test_assets_of_another_version_are_passed_over_for_the_cache(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asset = pretend(tmp_path / "assets" / "kube-apiserver", "Kubernetes v1.31.0")
    monkeypatch.setenv("KUBEBUILDER_ASSETS", str(asset.parent))
    cached = pretend(tmp_path / "cache" / f"bin-{fingerprint()}" / "kube-apiserver", "anything")
    assert ensure_binaries([API_SERVER], root=tmp_path / "cache") == {"kube-apiserver": cached}


@needs_go
def test_what_is_nowhere_is_built_once_and_says_so(nothing_installed: None, tmp_path: Path) -> None:
    binary = module(tmp_path / "hello", HELLO)
    said: list[str] = []
    found = ensure_binaries([binary], said.append, root=tmp_path / "cache")[binary.name]
    assert subprocess.run([found], capture_output=True, text=True, check=True).stderr == "hello\n"
    assert said[0] == "Building hello-of-the-tests from its Go module (1 of 1) ..."
    said.clear()
    assert ensure_binaries([binary], said.append, root=tmp_path / "cache") == {binary.name: found}
    assert said == []


@needs_go
def test_a_build_that_fails_shows_why_and_leaves_no_program(nothing_installed: None, tmp_path: Path) -> None:
    binary = module(tmp_path / "hello", "package main\n\nfunc main() { missing() }\n")
    with pytest.raises(BuildFailed, match="undefined: missing"):
        ensure_binaries([binary], root=tmp_path / "cache")
    assert not list((tmp_path / "cache").glob(f"bin-*/{binary.name}"))


@needs_go
@pytest.mark.parametrize("home", ["", "/dev/null", None])
def test_a_build_needs_no_home(
    nothing_installed: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: str | None
) -> None:
    for name in ("HOME", "XDG_CACHE_HOME", "GOPATH", "GOCACHE", "GOMODCACHE"):
        monkeypatch.delenv(name, raising=False)
    if home is not None:
        monkeypatch.setenv("HOME", home)
    binary = module(tmp_path / "hello", HELLO)
    assert ensure_binaries([binary], root=tmp_path / "cache")[binary.name].exists()


def test_an_empty_home_is_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("HOME")
    of_the_user = cache_root()
    monkeypatch.setenv("HOME", "")
    assert cache_root() == of_the_user


@pytest.mark.parametrize("command", ["up", "demo", "binaries"])
@pytest.mark.parametrize(("name", "value"), [("HOME", "/dev/null"), ("XDG_CACHE_HOME", "/dev/null/cache")])
def test_a_cache_that_cannot_be_written_is_named_in_one_line(
    tmp_path: Path, command: str, name: str, value: str
) -> None:
    away = ("KUBEBUILDER_ASSETS", "XDG_CACHE_HOME")
    environment = {key: text for key, text in os.environ.items() if key not in away}
    done = subprocess.run(
        [sys.executable, "-m", "localcluster", "--folder", str(tmp_path / "home"), command],
        cwd=ROOT,
        env=environment | {"PATH": str(tmp_path), name: value},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "")
    (line,) = done.stdout.splitlines()
    assert line.startswith("Cannot write to /dev/null/")
    assert line.endswith("; set XDG_CACHE_HOME to a folder that can be written.")


@needs_go
def test_of_two_builders_one_builds_and_the_other_waits(nothing_installed: None, tmp_path: Path) -> None:
    module(tmp_path / "hello", HELLO)
    script = textwrap.dedent("""
        import sys
        from pathlib import Path
        from localcluster.binaries import ensure_binaries
        from localcluster.versions import Binary

        folder = Path(sys.argv[1])
        binary = Binary("hello-of-the-tests", str(folder / "hello"), "hello", accepted="none")
        ensure_binaries([binary], print, root=folder / "cache")
    """)
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    builders = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=environment
        )
        for _ in range(2)
    ]
    outputs = [builder.communicate(timeout=100)[0] for builder in builders]
    assert [builder.returncode for builder in builders] == [0, 0]
    assert sum("Building hello-of-the-tests from its Go module (1 of 1) ..." in out for out in outputs) == 1
