"""Every task has an owner that ends and awaits it (H3): a task group, or one of a few places that see to it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PACKAGES = ("api", "backends", "controller", "gateway", "informers", "kube", "reconcilers")
"""What runs in the operator's process."""

OWNERS = {
    "backends/remote.py:RemoteBackend.__aenter__",
    "controller/election.py:LeaderElector._end",
    "controller/election.py:LeaderElector._term",
    "controller/process.py:Process._configured",
    "gateway/handlers.py:_within",
    "reconcilers/job/errands.py:Errands.outcome",
}
"""Functions that make tasks outside of a group: each ends and awaits them itself, or in its `__aexit__`."""

MODULE_FUNCTIONS = ("create_task", "ensure_future")


def calls(node: ast.AST, place: str = "") -> Iterator[tuple[str, ast.Call]]:
    """Every call below the node, with the qualified name of the function that it is in."""
    for child in ast.iter_child_nodes(node):
        inner = place
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            inner = f"{place}.{child.name}".lstrip(".")
        if isinstance(child, ast.Call):
            yield inner, child
        yield from calls(child, inner)


def makes_a_task_of_its_own(call: ast.Call) -> bool:
    """`asyncio.create_task(…)`, `loop.create_task(…)`; not that of a group."""
    function = call.func
    if not isinstance(function, ast.Attribute) or function.attr not in MODULE_FUNCTIONS:
        return isinstance(function, ast.Name) and function.id in MODULE_FUNCTIONS
    owner = ast.unparse(function.value)
    return owner == "asyncio" or "loop" in owner


def test_h3_every_task_belongs_to_a_group_or_to_a_place_that_awaits_it() -> None:
    found = {
        f"{path.relative_to(ROOT)}:{place}"
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        for place, call in calls(ast.parse(path.read_text()))
        if makes_a_task_of_its_own(call)
    }
    assert found == OWNERS
