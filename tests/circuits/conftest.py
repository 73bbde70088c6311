"""Loading in this very process: what it leaves behind as `__main__` is put back."""

import sys
import textwrap

import pytest

from circuits import CircuitError, load


@pytest.fixture(autouse=True)
def the_real_main(monkeypatch):
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])


@pytest.fixture
def python():
    """Loads Python text with Qiskit imported on line 1: python(text, entrypoint, parameters)."""

    def load_text(text, entrypoint=None, parameters=()):
        source = (
            "from qiskit import QuantumCircuit; from qiskit.circuit import Parameter\n"
            + textwrap.dedent(text)
        )
        return load(source.encode(), None, entrypoint, parameters)

    return load_text


@pytest.fixture
def refused(python):
    """Loads Python text that must be refused, and returns the CircuitError."""

    def load_text(text, entrypoint=None, parameters=()):
        with pytest.raises(CircuitError) as caught:
            python(text, entrypoint, parameters)
        return caught.value

    return load_text
