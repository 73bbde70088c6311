"""A small assembler for the classic BPF programs that seccomp runs on every system call."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence
from dataclasses import dataclass

_LOAD_WORD, _AND = 0x20, 0x54
_JUMP_EQUAL, _JUMP_AT_LEAST, _RETURN = 0x15, 0x35, 0x06

ALLOW = 0x7FFF0000
KILL_PROCESS = 0x80000000
_ERRNO = 0x00050000

_OFFSET_NUMBER, _OFFSET_ARCHITECTURE, _OFFSET_ARGUMENTS = 0, 4, 16


def fail_with(errno: int) -> int:
    """The action that makes a system call return `errno` without being made."""
    return _ERRNO | errno


@dataclass(frozen=True, slots=True)
class Where:
    """Holds if one 32-bit half of an argument, under `mask`, is one of `values`.

    Most arguments are ints, of which the kernel itself reads the low half only. A pointer needs a condition
    on either half.
    """

    argument: int
    values: tuple[int, ...]
    mask: int = 0xFFFFFFFF
    high_half: bool = False


Instruction = tuple[int, int, int, int]
"""Operation, jump if true, jump if false, constant."""


class Program:
    """Instructions in order. Jumps stay within one rule, so that no offset outgrows its eight bits."""

    def __init__(self) -> None:
        self.instructions: list[Instruction] = []

    def require_architecture(self, audit_architecture: int) -> None:
        """Kill a process that makes system calls of another architecture, whose numbers mean other calls."""
        self._add((_LOAD_WORD, 0, 0, _OFFSET_ARCHITECTURE))
        self._add((_JUMP_EQUAL, 1, 0, audit_architecture), (_RETURN, 0, 0, KILL_PROCESS))
        self._add((_LOAD_WORD, 0, 0, _OFFSET_NUMBER))

    def from_number(self, lowest: int, action: int) -> None:
        """Answer every system call numbered `lowest` or above with `action`."""
        self._add((_JUMP_AT_LEAST, 0, 1, lowest), (_RETURN, 0, 0, action))

    def on(self, number: int, action: int) -> None:
        """Answer one system call with `action`."""
        self._add((_JUMP_EQUAL, 0, 1, number), (_RETURN, 0, 0, action))

    def on_where(self, number: int, conditions: Sequence[Where], action: int, otherwise: int) -> None:
        """Answer one system call with `action` if all conditions hold, else with `otherwise`."""
        body: list[Instruction] = []
        for condition in conditions:
            offset = _OFFSET_ARGUMENTS + 8 * condition.argument + 4 * condition.high_half
            body.append((_LOAD_WORD, 0, 0, offset))
            if condition.mask != 0xFFFFFFFF:
                body.append((_AND, 0, 0, condition.mask))
            left = len(condition.values)
            for value in condition.values:
                body.append((_JUMP_EQUAL, left, 0, value))  # over the other values and the refusal
                left -= 1
            body.append((_RETURN, 0, 0, otherwise))
        body.append((_RETURN, 0, 0, action))
        self._add((_JUMP_EQUAL, 0, len(body), number), *body)

    def otherwise(self, action: int) -> None:
        """Answer what no rule has named; ends the program."""
        self._add((_RETURN, 0, 0, action))

    def _add(self, *instructions: Instruction) -> None:
        self.instructions.extend(instructions)


class FilterProgram(ctypes.Structure):
    """The kernel's `struct sock_fprog`. Keeps the code that it points to."""

    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))

    def __init__(self, program: Program) -> None:
        packed = b"".join(struct.pack("=HBBI", *instruction) for instruction in program.instructions)
        self.buffer = ctypes.create_string_buffer(packed, len(packed))
        super().__init__(len(program.instructions), ctypes.addressof(self.buffer))
