"""What to do about faults whose cause lies outside of the code: in the sandbox, or in a manifest's YAML."""

from __future__ import annotations

import errno
import re
import socket
import traceback
from collections.abc import Collection, Iterator
from pathlib import PurePath

from qiskit.exceptions import MissingOptionalLibraryError

SIMULATED = (
    "the code only builds circuits, in a sandbox without a network or other programs; the operator simulates "
    "them, so leave out Aer, backends and run()"
)
SANDBOXED = (
    "the code only builds circuits, in a sandbox without a network or other programs, where it reaches no files "
    "but those of its scratch folder"
)
QUOTED = "YAML reads an unquoted n, y, on, off, yes or no as a boolean: quote the name"
INSTALLED = "only Qiskit, NumPy and SciPy are there and nothing can be installed, so leave out what needs it"

_RUNS_CIRCUITS = re.compile(r"qiskit_(aer|ibm_\w+|braket_provider|ionq)\b")
"""Packages whose use is to run circuits."""

_GONE = re.compile(
    r"cannot import name '(Aer|BasicAer|IBMQ|execute|Sampler|Estimator|BackendSampler|BackendEstimator)' from 'qiskit\b"
)
"""What older scripts run circuits with."""

_REFUSED = frozenset({errno.EACCES, errno.EPERM})


def hint(error: BaseException) -> str | None:
    """What to do about `error`, if it comes of the sandbox or of what is not installed in it."""
    chain = list(_chain(error))
    if any(_runs_circuits(one) for one in chain):
        return SIMULATED
    if isinstance(error, ModuleNotFoundError | MissingOptionalLibraryError):
        return INSTALLED
    return SANDBOXED if any(_is_shut_in(one) for one in chain) else None


def naming_hint(given: Collection[str]) -> str | None:
    """What to do about a parameter that is not found, if one that was given has the name of a boolean."""
    return QUOTED if {"true", "false"}.intersection(given) else None


def _runs_circuits(error: BaseException) -> bool:
    if isinstance(error, ModuleNotFoundError):
        return _RUNS_CIRCUITS.match(error.name or "") is not None
    if isinstance(error, ImportError):
        return _GONE.match(error.msg or "") is not None
    return _is_shut_in(error) and any(
        _RUNS_CIRCUITS.match(part)
        for frame in traceback.extract_tb(error.__traceback__)
        for part in PurePath(frame.filename).parts
    )


def _is_shut_in(error: BaseException) -> bool:
    if isinstance(error, socket.gaierror):
        return True
    return isinstance(error, PermissionError) and error.errno in _REFUSED


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The exception, and those that have led to it."""
    seen: set[int] = set()
    one: object = error
    while isinstance(one, BaseException) and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or one.__context__
