"""The page of guarantees names code and tests that exist, and every promise that the code speaks of (by parsing)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "guarantees.md"

PROMISES = [f"G{number}" for number in range(1, 48)]
HAZARDS = [f"H{number}" for number in range(1, 11)]

ENGINE = ("kube", "informers", "controller", "reconcilers", "gateway", "backends")

_REFERENCE = re.compile(r"`([\w/]+\.py)::([\w.]+(?:::\w+)?)`")
_NUMBER = re.compile(r"\b([GH][0-9]{1,2})[ab]?\b")
_TEST_NUMBER = re.compile(r"^test_([gh][0-9]+)_")


def tables() -> Iterator[tuple[str, list[list[str]]]]:
    """The page's tables: the head of the last column, and the rows of cells."""
    rows: list[list[str]] = []
    for line in [*PAGE.read_text(encoding="utf-8").splitlines(), ""]:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.removeprefix("|").removesuffix("|").split("|")])
        elif rows:
            head, _ruler, *body = rows
            yield f"{head[0]}…{head[-1]}", body
            rows = []


def rows_under(heads: str) -> list[list[str]]:
    """The rows of all tables with these heads of the first and the last column."""
    return [row for found, rows in tables() if found == heads for row in rows]


NUMBERED = rows_under("…shown by")
FAULTS = rows_under("fault…shown by")
IMPOSSIBLE = rows_under("fault…why not")


def references(cell: str) -> list[tuple[str, str]]:
    """The (file, name) pairs of a cell, which has nothing else in it."""
    found = _REFERENCE.findall(cell)
    assert _REFERENCE.sub("", cell).replace("<br>", "") == "", f"not only references: {cell}"
    return [(file, name) for file, name in found]


@cache
def names_in(file: str) -> frozenset[str]:
    """What a module defines: functions, classes, constants, and `Class.member`."""
    return frozenset(_defined(ast.parse((ROOT / file).read_text(encoding="utf-8")).body))


def _defined(body: list[ast.stmt], prefix: str = "") -> Iterator[str]:
    for statement in body:
        match statement:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield prefix + name
            case ast.ClassDef(name=name, body=inner):
                yield prefix + name
                yield from _defined(inner, f"{prefix}{name}.")
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield prefix + name
            case ast.Assign(targets=targets):
                for target in targets:
                    elements = target.elts if isinstance(target, ast.Tuple) else [target]
                    yield from (prefix + element.id for element in elements if isinstance(element, ast.Name))


def test_every_number_has_one_row_and_nothing_else_has() -> None:
    assert [row[0] for row in NUMBERED] == PROMISES + HAZARDS


@pytest.mark.parametrize("row", NUMBERED, ids=lambda row: row[0])
def test_a_promise_is_a_sentence_with_code_and_tests_that_exist(row: list[str]) -> None:
    _, promise, kept_by, shown_by = row
    assert promise.endswith(".")
    assert references(kept_by)
    assert references(shown_by)
    assert_defined(kept_by)
    assert_tests(shown_by)


@pytest.mark.parametrize("row", FAULTS, ids=lambda row: row[0][:60])
def test_a_fault_of_others_has_been_seen_and_is_tested_for(row: list[str]) -> None:
    fault, seen_in, shown_by = row
    assert fault
    assert seen_in
    assert references(shown_by)
    assert_tests(shown_by)


def test_what_cannot_occur_says_why() -> None:
    assert IMPOSSIBLE
    assert all(all(row) and len(row) == 3 for row in IMPOSSIBLE)


def test_the_code_and_its_tests_speak_of_no_number_that_the_page_does_not_define() -> None:
    known = {*PROMISES, *HAZARDS}
    unknown = {
        f"{path.relative_to(ROOT)}: {number}"
        for package in ENGINE
        for path in (ROOT / package).rglob("*.py")
        for number in _NUMBER.findall(path.read_text(encoding="utf-8"))
        if number not in known
    } | {
        f"{path.relative_to(ROOT)}: {name}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in names_in(str(path.relative_to(ROOT)))
        if (match := _TEST_NUMBER.match(name)) and match[1].upper() not in known
    }
    assert unknown == set()


def test_a_reference_to_what_is_not_there_is_found_out() -> None:
    for cell in ("`informers/watch.py::stepp`", "`informers/watch.py::State.rv`"):
        with pytest.raises(AssertionError, match="is not defined"):
            assert_defined(cell)
    with pytest.raises(AssertionError, match="no such file"):
        assert_defined("`informers/nowhere.py::step`")
    for cell in ("`tests/informers/test_watch.py::play`", "`informers/watch.py::step`"):
        with pytest.raises(AssertionError, match="is no test"):
            assert_tests(cell)
    with pytest.raises(AssertionError, match="not only references"):
        references("`informers/watch.py::step` and more")


def assert_defined(cell: str) -> None:
    for file, name in references(cell):
        assert (ROOT / file).is_file(), f"no such file: {file}"
        found = name.replace("::", ".") in names_in(file)
        assert found, f"{name} is not defined in {file}"


def assert_tests(cell: str) -> None:
    assert_defined(cell)
    for file, name in references(cell):
        function = name.rsplit("::", 1)[-1]
        collected = file.startswith(("tests/", "e2e/suite/")) and function.startswith("test_")
        assert collected, f"{file}::{name} is no test"
