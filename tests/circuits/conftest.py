"""Loading in this very process: what it leaves behind as `__main__` is put back."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence
from typing import Protocol

import pytest

from circuits import BuiltCircuit, CircuitError, load


class Python(Protocol):
    """What the fixture `python` gives."""

    def __call__(
        self, text: str, entrypoint: str | None = None, parameters: Sequence[dict[str, float]] = ()
    ) -> list[BuiltCircuit]: ...


class Refused(Protocol):
    """What the fixture `refused` gives."""

    def __call__(
        self, text: str, entrypoint: str | None = None, parameters: Sequence[dict[str, float]] = ()
    ) -> CircuitError: ...


@pytest.fixture(autouse=True)
def the_real_main(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])


@pytest.fixture
def python() -> Python:
    """Loads Python text with Qiskit imported on line 1: python(text, entrypoint, parameters)."""

    def load_text(
        text: str, entrypoint: str | None = None, parameters: Sequence[dict[str, float]] = ()
    ) -> list[BuiltCircuit]:
        source = (
            "from qiskit import QuantumCircuit; from qiskit.circuit import Parameter\n"
            + textwrap.dedent(text)
        )
        return load(source.encode(), None, entrypoint, parameters)

    return load_text


@pytest.fixture
def refused(python: Python) -> Refused:
    """Loads Python text that must be refused, and returns the CircuitError."""

    def load_text(
        text: str, entrypoint: str | None = None, parameters: Sequence[dict[str, float]] = ()
    ) -> CircuitError:
        with pytest.raises(CircuitError) as caught:
            python(text, entrypoint, parameters)
        return caught.value

    return load_text
