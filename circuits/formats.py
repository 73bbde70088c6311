"""Telling the four languages apart where `spec.circuit.format` is absent."""

from __future__ import annotations

import re

from messages.circuit import Format

_QPY_MAGIC = re.compile(rb"QISKIT(?![ -~])")
"""Followed by a version, which is no printable character: a program may begin with a name like QISKIT_SHOTS."""

_COMMENTS = re.compile(rb"(?:\s+|//[^\n]*(?:\n|\Z)|/\*.*?\*/)*", re.DOTALL)
_VERSION = re.compile(rb"OPENQASM\s+(\d+)")
_INCLUDE = re.compile(rb"""include\s*["'](qelib1|stdgates)\.inc["']\s*;""")
_BY_INCLUDE = {b"qelib1": Format.QASM2, b"stdgates": Format.QASM3}


def detect_format(content: bytes) -> Format:
    """The language of `content`, by what stands at its beginning; Python if it is none of the others.

    OpenQASM 2 requires a version statement, OpenQASM 3 does not: there an include of the standard gates
    decides. A byte order mark and comments before either are skipped.
    """
    if _QPY_MAGIC.match(content):
        return Format.QPY
    text = content.removeprefix(b"\xef\xbb\xbf")
    skipped = _COMMENTS.match(text)
    start = skipped.end() if skipped else 0
    version = _VERSION.match(text, start)
    if version:
        return Format.QASM2 if version[1] == b"2" else Format.QASM3
    include = _INCLUDE.match(text, start)
    return _BY_INCLUDE[include[1]] if include else Format.PYTHON
