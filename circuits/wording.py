"""How messages speak of circuits and of numbers."""

from __future__ import annotations


def called(name: str) -> str:
    """The circuit of that name. Many are called circuit, by Qiskit or by their author."""
    return "the circuit" if name == "circuit" else f"circuit {name}"


def counted(number: int, what: str) -> str:
    """So many of `what`, a noun in the singular."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
