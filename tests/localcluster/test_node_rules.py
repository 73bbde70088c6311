"""The rules of the node that need no cluster: images, paths, variables, phases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from localcluster.node.downward import NodeFacts
from localcluster.node.environment import ConfigurationError, Sources, command, environment, expand
from localcluster.node.images import DEFAULT_IMAGES, Images
from localcluster.node.mounts import Mounts
from localcluster.node.states import Running, State, Terminated, Waiting, phase, restarts

FACTS = NodeFacts("local", "127.0.0.1", cpus=2, memory=8 << 30)
DONE = Terminated(0, "Completed")
FAILED = Terminated(1, "Error")
RUNS = Running("2026-01-01T00:00:00Z")
CREATING = Waiting("ContainerCreating")
BACKING_OFF = Waiting("CrashLoopBackOff")


@pytest.mark.parametrize(
    "image",
    [
        "qiskit-operator/executor:0.1.0",
        "qiskit-operator/executor",
        "ghcr.io/somebody/qiskit-operator/executor:latest",
        "localhost:5000/qiskit-operator/executor:1",
    ],
)
def test_the_executor_image_is_known_whatever_registry_and_tag(image: str) -> None:
    assert Images(DEFAULT_IMAGES).entry_point(image) == DEFAULT_IMAGES["qiskit-operator/executor:*"]


@pytest.mark.parametrize("image", ["python:3.11", "my-qiskit-operator/executor:1", "executor:1"])
def test_other_images_are_not(image: str) -> None:
    assert Images(DEFAULT_IMAGES).entry_point(image) is None


def test_of_nested_mounts_the_inner_one_counts() -> None:
    mounts = Mounts({"/data": Path("/host/a"), "/data/inner": Path("/host/b")})
    assert mounts.rewrite("/data/x") == "/host/a/x"
    assert mounts.rewrite("/data/inner/x") == "/host/b/x"
    assert mounts.rewrite("/data/inner") == "/host/b"
    assert mounts.rewrite("/database") == "/database"
    assert mounts.rewrite("see /data/x") == "see /data/x"


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)-$(A)", "1-1"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$(B) $A ${A} $", "$(B) $A ${A} $"),
    ],
)
def test_references_expand_as_in_kubernetes(text: str, expanded: str) -> None:
    assert expand(text, {"A": "1"}) == expanded


def test_a_later_variable_sees_earlier_ones_before_paths_are_rewritten() -> None:
    container = {
        "env": [
            {"name": "WORK", "value": "/work"},
            {"name": "FILE", "value": "$(WORK)/f"},
            {"name": "NOTE", "value": "in $(WORK)"},
        ]
    }
    mounts = Mounts({"/work": Path("/host")})
    values = environment(container, pod={}, node=FACTS, sources=Sources(), mounts=mounts)
    assert values == {"WORK": "/host", "FILE": "/host/f", "NOTE": "in /work"}


def test_a_command_replaces_the_entry_point_and_arguments_follow() -> None:
    entry = ("python", "-m", "it")
    assert command({"args": ["$(X)"]}, entry, {"X": "1"}) == ["python", "-m", "it", "1"]
    assert command({"command": ["sh"], "args": ["-c"]}, entry, {}) == ["sh", "-c"]


def test_a_missing_key_is_an_error_unless_it_is_optional() -> None:
    def container(*, optional: bool) -> dict[str, Any]:
        reference = {"name": "m", "key": "k", "optional": optional}
        return {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": reference}}]}

    for optional in (True, False):
        arguments: dict[str, Any] = {
            "pod": {},
            "node": FACTS,
            "sources": Sources(),
            "mounts": Mounts({}),
        }
        if optional:
            assert environment(container(optional=True), **arguments) == {}
        else:
            with pytest.raises(ConfigurationError, match="couldn't find key k in configMap m"):
                environment(container(optional=False), **arguments)


@pytest.mark.parametrize(
    ("init", "main", "over", "expected"),
    [
        ([], [CREATING], False, "Pending"),
        ([RUNS], [CREATING], False, "Pending"),
        ([DONE], [CREATING], False, "Pending"),
        ([DONE], [RUNS, CREATING], False, "Running"),
        ([], [BACKING_OFF], False, "Running"),
        ([], [DONE, RUNS], False, "Running"),
        ([], [DONE, DONE], True, "Succeeded"),
        ([], [DONE, FAILED], True, "Failed"),
        ([FAILED], [CREATING], True, "Failed"),
        ([], [CREATING], True, "Failed"),
    ],
)
def test_the_phase_follows_from_the_containers(
    init: list[State], main: list[State], over: bool, expected: str
) -> None:
    assert phase(init, main, over=over) == expected


@pytest.mark.parametrize(
    ("policy", "state", "again"),
    [
        ("Never", FAILED, False),
        ("OnFailure", FAILED, True),
        ("OnFailure", DONE, False),
        ("Always", DONE, True),
    ],
)
def test_the_restart_policy_decides_who_starts_again(policy: str, state: Terminated, again: bool) -> None:
    assert restarts(policy, state) is again
