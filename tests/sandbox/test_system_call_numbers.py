"""The tables of system calls against libseccomp's own, and the filter against the code it is for."""

import platform

import pyseccomp
import pytest

from sandbox.bpf import Program
from sandbox.seccomp import build_filter, conditions
from sandbox.syscall_numbers import ALLOWED, CONDITIONAL

ARCHITECTURES = {"x86_64": pyseccomp.Arch.X86_64, "aarch64": pyseccomp.Arch.AARCH64}


@pytest.mark.parametrize("name", [*ALLOWED, *CONDITIONAL])
def test_numbers_are_those_of_libseccomp(name: str) -> None:
    numbers = {**ALLOWED, **CONDITIONAL}[name]
    for number, architecture in zip(numbers, ARCHITECTURES.values(), strict=True):
        theirs = pyseccomp.resolve_syscall(architecture, name)
        assert number == (theirs if theirs >= 0 else None)


def test_no_call_is_both_allowed_and_conditional() -> None:
    assert not ALLOWED.keys() & CONDITIONAL.keys()
    assert conditions(1).keys() == CONDITIONAL.keys()


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_every_jump_lands_within_the_program(machine: str) -> None:
    instructions = build_filter(machine, 1).instructions
    assert len(instructions) < 4096  # the kernel's own bound
    for at, (_, true, false, _) in enumerate(instructions):
        assert max(true, false) < 256
        assert at + 1 + max(true, false) < len(instructions) + (at == len(instructions) - 1)


def test_a_machine_without_a_table_is_refused() -> None:
    with pytest.raises(KeyError):
        build_filter("riscv64", 1)


def test_an_empty_program_says_nothing() -> None:
    assert Program().instructions == []


def test_the_suite_runs_on_a_machine_that_has_a_table() -> None:
    assert platform.machine() in ARCHITECTURES
