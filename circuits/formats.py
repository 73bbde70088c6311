"""Telling the four languages apart where `spec.circuit.format` is absent."""

from __future__ import annotations

import re

import msgspec

from messages.circuit import Format
from messages.unreadable import UNREADABLE

_QPY_MAGIC = re.compile(rb"QISKIT(?![ -~])")
"""Followed by a version, which is no printable character: a program may begin with a name like QISKIT_SHOTS."""

_COMMENTS = re.compile(rb"(?:\s+|//[^\n]*(?:\n|\Z)|/\*.*?\*/)*", re.DOTALL)
_VERSION = re.compile(rb"OPENQASM\s+(\d+)")
_INCLUDE = re.compile(rb"""include\s*["'](qelib1|stdgates)\.inc["']\s*;""")
_IMPORT = re.compile(rb"^(from\s+[\w.]+\s+)?import\s+[\w(*]", re.MULTILINE)
"""What every program has that builds circuits, and no text in OpenQASM: there it is called include."""

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


class _Notebook(msgspec.Struct):
    nbformat: int
    cells: msgspec.Raw


def is_notebook(content: bytes) -> bool:
    """Whether it is the JSON that Jupyter keeps a notebook in."""
    if not content.lstrip().startswith(b"{"):
        return False
    try:
        msgspec.json.decode(content, type=_Notebook)
    except UNREADABLE:
        return False
    return True


def format_hint(content: bytes, given: Format) -> str | None:
    """What to do about content that cannot be read as `given`, if it is in another language."""
    seen = detect_format(content)
    if seen is Format.PYTHON and not _IMPORT.search(content):
        return None
    return None if seen is given else f"this looks like {seen}: set spec.circuit.format to {seen}"
