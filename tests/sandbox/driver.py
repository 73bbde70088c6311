"""Runs snippets in sandboxed children, as a given user, on a kernel that lacks given calls.

Reads a list of {name, code, uid, lacks, relax, bare} as JSON on stdin, writes {name: result} to stdout. It
has one thread, and imports before it gives up its user ID: that user may not be able to read the interpreter.
"""

import errno
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import pyseccomp

from sandbox import Layer, SandboxPolicy, SandboxUnavailable, enter
from sandbox.bpf import ALLOW, Program, Where, fail_with
from sandbox.landlock import python_files
from sandbox.privileges import hide_memory
from sandbox.seccomp import install
from tests.sandbox import programs

_ARCHITECTURE = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}[os.uname().machine]


def _take_from_the_kernel(calls: list[Any]) -> None:
    """Make calls fail as on a kernel without them. Each is [name, errno, [[argument, value], …]]."""
    program = Program()
    program.require_architecture(_ARCHITECTURE)
    for name, error, arguments in calls:
        number = pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name)
        where = [Where(argument, (value,)) for argument, value in arguments]
        program.on_where(number, where, fail_with(getattr(errno, error)), ALLOW)
    program.otherwise(ALLOW)
    programs.prctl(38, 1, 0, 0, 0)  # a filter needs no_new_privs; a filter of prctl then takes it away again
    install(program)


def _child(case: dict[str, Any]) -> Any:
    with tempfile.TemporaryDirectory(dir=case.get("below")) as top:
        home, secret = Path(top, "home"), Path(top, "secret")
        home.mkdir()
        secret.write_text("secret")
        uid = case.get("uid", os.getuid())
        if uid != os.getuid():
            for path in (Path(top), home, secret):
                os.chown(path, uid, uid)
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.write(write, json.dumps(_attempt(case, uid, home, secret)).encode())
            os._exit(0)
        os.close(write)
        with open(read, "rb") as answer:
            text = answer.read()
        _, status = os.waitpid(pid, 0)
        return json.loads(text) if text else f"ended with status {status}"


def _attempt(case: dict[str, Any], uid: int, home: Path, secret: Path) -> dict[str, Any]:
    if uid != os.getuid():
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    os.setpgid(0, 0)
    os.chdir(home)
    os.environ["TMPDIR"] = str(home)
    tempfile.tempdir = None
    if case.get("lacks"):
        _take_from_the_kernel(case["lacks"])
    relax = frozenset(Layer(name) for name in case.get("relax", ()))
    policy = SandboxPolicy(writable=(home,), cpu_seconds=20, memory_bytes=1 << 29, relax=relax)
    if case.get("bare"):
        return {"result": programs.attempt(case["code"], secret=str(secret), outside=str(home.parent))}
    try:
        layers = enter(policy, python_files())
    except SandboxUnavailable as error:
        return {"unavailable": error.layer, "message": str(error)}
    outside = str(home.parent)
    result = programs.attempt(case["code"], secret=str(secret), outside=outside)
    return {"result": result, "layers": sorted(layers)}


def main() -> None:
    hide_memory()
    # Children that attempt to reach this process's group must not find the test runner there.
    os.setsid()
    cases = json.load(sys.stdin)
    json.dump({case["name"]: _child(case) for case in cases}, sys.stdout)


main()
