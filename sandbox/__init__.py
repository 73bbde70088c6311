"""A place for hostile code: four layers around a forked child, and the zygote that forks it.

`Zygote` is the way in for a parent process; `enter` is what shuts a child in. Everything else is how.
"""

from sandbox.child import Channel, Send
from sandbox.layers import enter
from sandbox.line import ZygoteFailed
from sandbox.outcome import (
    End,
    Exited,
    MemoryExceeded,
    Outcome,
    OutputExceeded,
    Signaled,
    TimedOut,
)
from sandbox.policy import Layer, SandboxPolicy, SandboxUnavailable, relaxed_layers
from sandbox.privileges import hide_memory
from sandbox.zygote import Zygote

__all__ = [
    "Channel",
    "End",
    "Exited",
    "Layer",
    "MemoryExceeded",
    "Outcome",
    "OutputExceeded",
    "SandboxPolicy",
    "SandboxUnavailable",
    "Send",
    "Signaled",
    "TimedOut",
    "Zygote",
    "ZygoteFailed",
    "enter",
    "hide_memory",
    "relaxed_layers",
]
