"""Entry functions for zygotes under test. They are loaded in the zygote: no test library but libseccomp's."""

import asyncio
import ctypes
import errno
import fcntl
import mmap
import multiprocessing.popen_fork
import os
import pathlib
import random
import resource
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from typing import Any

import pyseccomp

import sandbox
from sandbox import Channel

_libc = ctypes.CDLL(None, use_errno=True)


def syscall(name: str, *arguments: Any) -> int:
    number = pyseccomp.resolve_syscall(pyseccomp.Arch.NATIVE, name)
    assert number >= 0, f"{name} is unknown to libseccomp"
    result: int = _libc.syscall(number, *(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments))
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def prctl(*arguments: int) -> None:
    if _libc.prctl(*arguments) < 0:
        raise OSError(ctypes.get_errno(), "prctl")


def nothing() -> None:
    pass


def names(send: Channel | None, **more: object) -> dict[str, object]:
    """What a snippet finds defined."""
    modules = (
        asyncio, ctypes, errno, fcntl, mmap, multiprocessing, os, pathlib, random, resource, sandbox, shutil,
        signal, socket, stat, struct, subprocess, sys, tempfile, termios, threading, time,
    )  # fmt: skip
    named = {module.__name__: module for module in modules}
    return {**named, "syscall": syscall, "prctl": prctl, "send": send, "parent": os.getppid(), **more}


def run(payload: bytes, send: Channel) -> None:
    """Runs the payload as Python."""
    exec(compile(payload, "<user>", "exec"), names(send))


def attempt(code: str, **more: object) -> str:
    """How one attempt went: the name of an errno, or `allowed`."""
    try:
        exec(code, names(None, **more))
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return "allowed"


def start_a_thread() -> None:
    threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()


def fail_to_load() -> None:
    raise ImportError("libmissing.so: cannot open shared object file")


def hang() -> None:
    time.sleep(3600)


def import_numpy() -> None:
    import numpy.random  # noqa: F401
