"""The zygote's own process: loads what children need, then forks one for each request.

It must stay with one thread: a lock that another thread holds at the fork stays locked in the child for
ever, and once Rust's thread pool exists every parallel pass in a child hangs. So it never runs a circuit,
counts its threads before each fork, and ends rather than fork with two.
"""

from __future__ import annotations

import gc
import importlib
import os
import select
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from sandbox import kernel
from sandbox.cgroup import out_of_memory_kills
from sandbox.child import Entry, live
from sandbox.landlock import python_files
from sandbox.privileges import die_with_parent, hide_memory
from sandbox.protocol import (
    PACKET_BYTES,
    Boot,
    Broken,
    Descriptors,
    Ended,
    Kill,
    NotSpawned,
    Ready,
    Spawn,
    decode_request,
    encode,
)


@dataclass(slots=True)
class _Child:
    id: int
    pid: int
    pidfd: int
    started: float
    deadline: float
    memory_kills: int
    out_of_wall_time: bool = False


def main(boot_message: str) -> None:
    """Run as a zygote until the parent closes its end of the socketpair."""
    boot = msgspec.json.decode(boot_message, type=Boot)
    die_with_parent(boot.parent)
    hide_memory()
    os.closerange(3, boot.socket)
    os.closerange(boot.socket + 1, os.sysconf("SC_OPEN_MAX"))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # the parent decides when this ends
    line = socket.socket(fileno=boot.socket)
    try:
        _function(boot.preload)()
        zygote = _Zygote(line, _function(boot.entry))
    except Exception as error:  # noqa: BLE001 - whatever an import raises, the parent must hear of it
        line.send(encode(Broken(f"{type(error).__name__}: {error}")))
        return
    gc.collect()
    gc.freeze()  # what is shared stays shared: a collection in a child would touch, and so copy, every page
    zygote.serve()


class _Zygote:
    def __init__(self, line: socket.socket, entry: Entry) -> None:
        self._line = line
        self._entry = entry
        self._python = python_files()
        self._children: dict[int, _Child] = {}
        self._poll = select.poll()

    def serve(self) -> None:
        if self._gives_up():
            return
        self._line.send(encode(Ready(os.getpid())))
        self._poll.register(self._line, select.POLLIN)
        while True:
            for descriptor, _ in self._poll.poll(self._milliseconds_to_next_deadline()):
                if descriptor != self._line.fileno():
                    self._reap(descriptor)
                elif not self._hear():
                    return  # the children die with this process
            self._kill_overdue()

    def _hear(self) -> bool:
        packet, descriptors, _, _ = socket.recv_fds(self._line, PACKET_BYTES, len(Descriptors._fields))
        if not packet:
            return False
        request = decode_request(packet)
        if isinstance(request, Kill):
            self._kill(request.id)
            return True
        try:
            return self._spawn(request, Descriptors(*descriptors))
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _spawn(self, request: Spawn, descriptors: Descriptors) -> bool:
        if self._gives_up():
            return False
        zygote = os.getpid()
        memory_kills = out_of_memory_kills()
        started = time.monotonic()
        try:
            pid = os.fork()
        except OSError as error:
            self._line.send(encode(NotSpawned(request.id, f"fork: {error}")))
            return True
        if pid == 0:
            live(request.policy, descriptors, self._entry, zygote, self._python)
        pidfd = os.pidfd_open(pid)
        deadline = started + request.wall_seconds
        self._children[pidfd] = _Child(request.id, pid, pidfd, started, deadline, memory_kills)
        self._poll.register(pidfd, select.POLLIN)
        return True

    def _reap(self, pidfd: int) -> None:
        child = self._children.pop(pidfd)
        self._poll.unregister(pidfd)
        os.close(pidfd)
        _, status, usage = os.wait4(child.pid, 0)
        report = Ended(
            id=child.id,
            status=status,
            wall_seconds=time.monotonic() - child.started,
            cpu_seconds=usage.ru_utime + usage.ru_stime,
            peak_rss_bytes=usage.ru_maxrss * 1024,
            out_of_wall_time=child.out_of_wall_time,
            killed_for_memory=out_of_memory_kills() > child.memory_kills,
        )
        self._line.send(encode(report))

    def _kill(self, identity: int) -> None:
        for child in self._children.values():
            if child.id == identity:
                os.kill(child.pid, signal.SIGKILL)  # not reaped yet, so the PID is still its own

    def _kill_overdue(self) -> None:
        now = time.monotonic()
        for child in self._children.values():
            if now >= child.deadline and not child.out_of_wall_time:
                child.out_of_wall_time = True
                os.kill(child.pid, signal.SIGKILL)

    def _milliseconds_to_next_deadline(self) -> float | None:
        waiting = [child.deadline for child in self._children.values() if not child.out_of_wall_time]
        return max(0.0, min(waiting) - time.monotonic()) * 1000 + 1 if waiting else None

    def _gives_up(self) -> bool:
        """Whether this process must not fork any more; then it has said so."""
        count = kernel.threads()
        if count == 1:
            return False
        self._line.send(encode(Broken(f"the zygote has {count} threads, so it must not fork")))
        return True


def _function(name: str) -> Callable[..., Any]:
    module, _, attribute = name.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    return function
